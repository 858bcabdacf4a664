//! The contract in Rust: what build.rs makes from the .proto files.

tonic::include_proto!("osirose.database.v1");
