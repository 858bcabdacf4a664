//! Generates messages and clients from ../../proto. protox compiles .proto files in Rust, so protoc is not needed.

const PROTO: &str = "../../proto";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed={PROTO}");
    let files = ["user", "session", "character", "staff"].map(|f| format!("osirose/database/v1/{f}.proto"));
    tonic_prost_build::configure().build_server(false).compile_fds(protox::compile(files, [PROTO])?)?;
    Ok(())
}
