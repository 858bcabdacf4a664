//! Calls every rpc of the contract and the health service, provokes some errors, and checks each answer. At the first wrong
//! answer it exits with code 1. It creates one character and deletes it again.
//!
//!     database-client http://127.0.0.1:50052 TOKEN

mod characters;
mod staff;

use std::{collections::HashMap, env, process::exit, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use databasev1::{session_service_client::SessionServiceClient, user_service_client::UserServiceClient, *};
use tonic::{Code, Request, Response, Status, service::interceptor::InterceptedService, transport};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt;

type Answer<T> = Result<Response<T>, Status>;
type Channel = InterceptedService<transport::Channel, fn(Request<()>) -> Result<Request<()>, Status>>;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<_> = env::args().skip(1).collect();
    let Ok([url, token]) = <[String; 2]>::try_from(args) else {
        eprintln!("usage: database-client URL TOKEN");
        exit(2);
    };
    if let Err(err) = run(url, token).await {
        eprintln!("{err:#}");
        exit(1);
    }
}

async fn run(url: String, token: String) -> Result<()> {
    let channel = connect(url).await?;
    call_health(channel.clone()).await?;
    let user = call_users(channel.clone(), token.clone()).await?;
    call_sessions(channel.clone(), token, &user).await?;
    characters::call(channel, user.id).await
}

async fn connect(url: String) -> Result<Channel> {
    let channel = transport::Endpoint::from_shared(url)?
        .connect_timeout(Duration::from_secs(1))
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true)
        .connect()
        .await?;
    Ok(InterceptedService::new(channel, with_deadline))
}

/// Sends the deadline to the server (grpc-timeout), so that it stops when the client gives up; Endpoint::timeout does not.
fn with_deadline(mut request: Request<()>) -> Result<Request<()>, Status> {
    request.set_timeout(Duration::from_secs(1));
    Ok(request)
}

async fn call_health(channel: Channel) -> Result<()> {
    let mut health = HealthClient::new(channel);
    let request = HealthCheckRequest::default(); // no name: the whole server
    let status = ok("Check", health.check(request).await)?.status();
    ensure!(status.as_str_name() == "SERVING", "Check: {status:?}");
    println!("Check ok: {}", status.as_str_name());
    Ok(())
}

async fn call_users(channel: Channel, token: String) -> Result<User> {
    use get_user_by_session_request::Session::Token;
    let mut users = UserServiceClient::new(channel);

    let request = GetUserBySessionRequest { session: Some(Token(token)) };
    let got = ok("GetUserBySession", users.get_user_by_session(request).await)?;
    let user = got.user.context("GetUserBySession: no user")?;
    let session = got.session.context("GetUserBySession: no session")?;
    ensure!(session.user_id == user.id, "GetUserBySession: the session of another user");
    println!("GetUserBySession ok: {} has the id {}", user.name, user.id);

    let request = GetUserRequest { user_id: user.id.clone() };
    let got = ok("GetUser", users.get_user(request).await)?;
    same_user("GetUser", &user, got.user)?;

    let request = GetUserByUsernameRequest { username: user.username.to_uppercase() };
    let got = ok("GetUserByUsername", users.get_user_by_username(request).await)?;
    same_user("GetUserByUsername", &user, got.user)?;

    let request = GetUserByEmailRequest { email: user.email.to_uppercase() };
    let got = ok("GetUserByEmail", users.get_user_by_email(request).await)?;
    same_user("GetUserByEmail", &user, got.user)?;

    let request = GetUserBySessionRequest { session: Some(Token("nonsense".into())) };
    let answer = users.get_user_by_session(request).await;
    refused("GetUserBySession", answer, Code::NotFound, "SESSION_NOT_FOUND")?;

    let answer = users.get_user(GetUserRequest::default()).await;
    let metadata = refused("GetUser", answer, Code::InvalidArgument, "ARGUMENT")?;
    ensure!(metadata.get("argument").is_some_and(|a| a == "user_id"), "GetUser: metadata {metadata:?}");
    Ok(user)
}

fn same_user(rpc: &str, want: &User, got: Option<User>) -> Result<()> {
    let got = got.with_context(|| format!("{rpc}: no user"))?;
    ensure!(got == *want, "{rpc}: got {got:?}, want {want:?}");
    println!("{rpc} ok: {}", got.name);
    Ok(())
}

async fn call_sessions(channel: Channel, token: String, user: &User) -> Result<()> {
    let mut sessions = SessionServiceClient::new(channel);

    let session = Some(get_session_request::Session::Token(token.clone()));
    let got = ok("GetSession", sessions.get_session(GetSessionRequest { session }).await)?;
    let before = got.session.context("GetSession: no session")?;
    ensure!(before.user_id == user.id && before.expires_in_seconds > 0, "GetSession: {before:?}");
    println!("GetSession ok: ends in {} s", before.expires_in_seconds);

    let session = Some(refresh_session_request::Session::Token(token));
    let request = RefreshSessionRequest { session, extend_seconds: 0 };
    let got = ok("RefreshSession", sessions.refresh_session(request).await)?;
    let after = got.session.context("RefreshSession: no session")?;
    let moved = after.expires_at != before.expires_at;
    ensure!(after.id == before.id && moved == got.extended, "RefreshSession: {after:?}, was {before:?}");
    println!("RefreshSession ok: ends in {} s, extended: {moved}", after.expires_in_seconds);
    Ok(())
}

fn ok<T>(rpc: &str, answer: Answer<T>) -> Result<T> {
    Ok(answer.with_context(|| rpc.to_owned())?.into_inner())
}

/// Expects an error, and returns the metadata of its ErrorInfo. Programs may rely on code, reason and metadata.
fn refused<T>(rpc: &str, answer: Answer<T>, code: Code, reason: &str) -> Result<HashMap<String, String>> {
    let Err(status) = answer else {
        bail!("{rpc}: answered, want {code:?} {reason}");
    };
    let info = status.get_details_error_info().with_context(|| format!("{rpc}: no ErrorInfo with {status}"))?;
    ensure!(status.code() == code && info.reason == reason, "{rpc}: got {status}, {info:?}, want {code:?} {reason}");
    println!("{rpc} refused: {code:?} {reason} {:?}", info.metadata);
    Ok(info.metadata)
}
