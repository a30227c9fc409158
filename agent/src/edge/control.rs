//! The local socket, from the side of `larderd`'s own commands: commands ask the running agent, since only one
//! process may have the vault open.

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use larder_format::wire::Problem;
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};

/// File name of the socket beside the vault's folder on each disk, and in the service's runtime folder.
const SOCKET: &str = "control.sock";
/// The runtime folder of the installed service, as `systemd/larderd.service` names it.
const SERVICE_RUNTIME: &str = "/run/larder";

/// Between two questions of a watching command.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Why the running agent gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// There is no running agent on this vault.
    #[error("no agent is running")]
    NotRunning(#[source] io::Error),
    /// The system lets this user not speak to it.
    #[error("the control socket may not be used")]
    NotAllowed(#[source] io::Error),
    /// It answered with a refusal.
    #[error("{}", .0.what)]
    Refused(Box<Problem>),
    /// The answer is of another kind.
    #[error("the agent's answer could not be read")]
    Broken(String),
}

impl ControlError {
    /// Why no connection could be made.
    fn of(error: io::Error) -> Self {
        // Told that no agent runs, a user without rights would start a second one.
        if error.kind() == io::ErrorKind::PermissionDenied {
            Self::NotAllowed(error)
        } else {
            Self::NotRunning(error)
        }
    }
}

/// The folder that the service manager gives this process until the end of the process; none outside of a service. A
/// socket there answers when every disk is pulled.
pub(crate) fn runtime_folder() -> Option<PathBuf> {
    let folders = std::env::var_os("RUNTIME_DIRECTORY")?;
    std::env::split_paths(&folders).next().filter(|folder| folder.is_absolute())
}

/// The same folder, as a command sees it from outside.
pub(crate) fn service_runtime() -> PathBuf {
    PathBuf::from(SERVICE_RUNTIME)
}

/// The socket of the agent with its vault in `folder`.
pub(crate) fn socket_path(folder: &Path) -> PathBuf {
    folder.join(SOCKET)
}

/// Makes the socket, for the owner of the process alone. Only the holder of the vault's lock may call this.
pub(crate) fn listen(folder: &Path) -> io::Result<UnixListener> {
    let path = socket_path(folder);
    // Leftover of a killed agent; the vault's lock says that the agent is gone.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(listener)
}

/// Takes the socket away, so that the next command hears at once of the agent's absence.
pub(crate) fn remove(folder: &Path) {
    if let Err(error) = std::fs::remove_file(socket_path(folder)) {
        tracing::debug!(%error, "the control socket was gone already");
    }
}

/// There is a socket on each connected disk and perhaps in the runtime folder; any will do.
async fn connect(folders: &[PathBuf]) -> io::Result<UnixStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for folder in folders {
        match UnixStream::connect(socket_path(folder)).await {
            Ok(stream) => return Ok(stream),
            // Behind a forbidden socket there may be an agent; behind missing sockets there may be none.
            Err(_) if last.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Asks the running agent; `body` is sent as JSON with POST, without a body the request is a GET.
pub(crate) async fn ask<T: DeserializeOwned>(
    folders: &[PathBuf],
    path: &str,
    body: Option<serde_json::Value>,
) -> Result<T, ControlError> {
    let broken = |error: &dyn std::error::Error| ControlError::Broken(error.to_string());
    let stream = connect(folders).await.map_err(ControlError::of)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    tokio::spawn(connection);
    let method = if body.is_some() { "POST" } else { "GET" };
    let text = body.map(|body| body.to_string()).unwrap_or_default();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "larder")
        .header("content-type", "application/json")
        .body(Full::new(bytes::Bytes::from(text)))
        .map_err(|error| broken(&error))?;
    let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
    let status = response.status();
    let bytes = response.into_body().collect().await.map_err(|error| broken(&error))?.to_bytes();
    if status.is_success() {
        serde_json::from_slice(&bytes).map_err(|error| broken(&error))
    } else {
        let problem = serde_json::from_slice(&bytes).map_err(|error| broken(&error))?;
        Err(ControlError::Refused(problem))
    }
}

/// Asks again and again, as long as `go_on` says so of the answer; returns the last one.
pub(crate) async fn ask_while<T: DeserializeOwned>(
    folders: &[PathBuf],
    path: &str,
    mut go_on: impl FnMut(&T) -> bool,
) -> Result<T, ControlError> {
    loop {
        let answer = ask(folders, path, None).await?;
        if !go_on(&answer) {
            return Ok(answer);
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_not_ask_is_not_told_that_nobody_is_there() {
        let of = |kind: io::ErrorKind| ControlError::of(kind.into());
        assert!(matches!(of(io::ErrorKind::PermissionDenied), ControlError::NotAllowed(_)));
        for kind in [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused] {
            assert!(matches!(of(kind), ControlError::NotRunning(_)));
        }
    }
}
