//! Prints the user behind a session token: cargo run --bin get_user_by_session http://127.0.0.1:50052 TOKEN

use databasev1::{
    GetUserBySessionRequest, get_user_by_session_request::Session, user_service_client::UserServiceClient,
};
use tonic::Request;
use tonic_types::StatusExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(token)) = (args.next(), args.next()) else {
        return Err("usage: get_user_by_session URL TOKEN".into());
    };

    let mut users = UserServiceClient::connect(url).await?;
    let session = Some(Session::Token(token));
    let mut request = Request::new(GetUserBySessionRequest { session });
    request.set_timeout(std::time::Duration::from_secs(1));
    match users.get_user_by_session(request).await {
        Ok(answer) => match answer.into_inner().user.unwrap_or_default() {
            user if user.banned => println!("{} is banned", user.name), // the caller refuses the player
            user => println!("{} may play", user.name),
        },
        Err(status) => match status.get_details_error_info() {
            Some(info) if info.reason == "SESSION_EXPIRED" => println!("sign in again"),
            Some(info) => println!("{:?} {}", status.code(), info.reason),
            None => return Err(status.into()), // not the service's answer: for example a lost connection
        },
    }
    Ok(())
}
