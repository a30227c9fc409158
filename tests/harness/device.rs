//! A computer that speaks the protocol by hand, without `larder`: its key, and requests of its own over TLS.

use crate::home::Home;
use larder_format::Hash;
use larder_trust::{PublicKey, SecretKey, client_config, server_config};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConnection, StreamOwned};
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

/// An encrypted connection to an appliance.
pub type Encrypted = StreamOwned<ClientConnection, TcpStream>;

/// A computer, known to the appliance or not.
#[derive(Clone)]
pub struct Device {
    port: u16,
    key: PublicKey,
    tls: Arc<ClientConfig>,
}

impl Device {
    /// A computer that nobody knows, at an appliance on this port.
    ///
    /// # Panics
    /// When the system gives no random numbers.
    pub fn stranger(port: u16) -> Self {
        Self::with_key(port, &SecretKey::generate().expect("random"))
    }

    fn with_key(port: u16, own: &SecretKey) -> Self {
        Self { port, key: own.public(), tls: client_config(own, None) }
    }

    /// Digits by which the owner's list names the key.
    pub fn key_name(&self) -> String {
        Hash::of(&self.key.spki()).short()
    }

    /// A new connection, its handshake done.
    ///
    /// # Panics
    /// When the appliance does not take it.
    pub fn connect(&self) -> Encrypted {
        self.try_connect().expect("connected")
    }

    /// The same where the appliance may refuse.
    ///
    /// # Errors
    /// Those of the network, and of TLS.
    pub fn try_connect(&self) -> io::Result<Encrypted> {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        let name = ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
        let mut connection = ClientConnection::new(Arc::clone(&self.tls), name).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        Ok(StreamOwned::new(connection, socket))
    }

    /// Head and body of the answer to one request, as they came.
    ///
    /// # Panics
    /// When the request cannot be sent.
    pub fn request(&self, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(head(method, path, body.len()).as_bytes()).expect("sent");
        stream.write_all(body).expect("sent");
        let mut answer = Vec::new();
        // An appliance that hangs up without a farewell has said what it had to say.
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    /// Status and body of the answer to a request without a body.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let text = String::from_utf8_lossy(&self.request(method, path, b"")).into_owned();
        let code = text.split_whitespace().nth(1).and_then(|code| code.parse().ok());
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (code.unwrap_or_else(|| panic!("{method} {path}: {text}")), body.to_owned())
    }
}

/// Head of a request over a connection that ends with the answer.
pub fn head(method: &str, path: &str, len: usize) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: larder\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n")
}

/// A key as the text of a file's line.
fn key_in(text: &str, name: &str) -> SecretKey {
    let pairing: toml::Table = text.parse().expect("a pairing");
    let key = pairing["keys"][name].as_str().expect("a key");
    SecretKey::from_hex(key).expect("a key")
}

fn paired_in(config: &Path, port: u16) -> Device {
    let text = fs::read_to_string(config.join("larder/appliance.toml")).expect("a pairing");
    Device::with_key(port, &key_in(&text, "own"))
}

impl Home {
    /// A computer with a new key of this name and role, paired by the code.
    ///
    /// # Panics
    /// When it cannot be paired.
    pub fn device(&self, device: &str, role: &str) -> Device {
        self.device_with(&["--device", device, "--role", role])
    }

    /// The same with whatever `larderd pair` is to be told.
    ///
    /// # Panics
    /// As `device`.
    pub fn device_with(&self, wish: &[&str]) -> Device {
        let folder = tempfile::tempdir_in(self.path("")).expect("a folder");
        let computer = folder.path().file_name().expect("a name").to_str().expect("text");
        self.pair_with(computer, wish);
        paired_in(&folder.path().join("config"), self.port)
    }

    /// From now on the home's computer reaches its appliance through `change`, which has the keys of both: it gets each
    /// request as it came, the way on to the appliance, and returns the answer as it is to go back.
    ///
    /// # Panics
    /// Without a pairing, or a port.
    pub fn change_on_the_way(
        &self,
        change: impl Fn(&[u8], &Device) -> Vec<u8> + Send + Sync + 'static,
    ) -> u16 {
        let key = fs::read_to_string(self.disk().join("box-key")).expect("the appliance's key");
        let tls = server_config(&SecretKey::from_hex(key.trim()).expect("a key"));
        let on = paired_in(&self.path("config"), self.port);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        self.go_to(port);
        let change = Arc::new(change);
        std::thread::spawn(move || {
            for mut client in listener.incoming().map_while(Result::ok) {
                let (tls, on, change) = (Arc::clone(&tls), on.clone(), Arc::clone(&change));
                std::thread::spawn(move || {
                    let mut connection = ServerConnection::new(tls).expect("a configuration");
                    let mut stream = rustls::Stream::new(&mut connection, &mut client);
                    let Ok(request) = read_request(&mut stream) else { return };
                    let _ = stream.write_all(&change(&request, &on));
                    connection.send_close_notify();
                    let _ = connection.complete_io(&mut client);
                });
            }
        });
        port
    }

    /// From now on the home's computer has this key, which the appliance knows already.
    ///
    /// # Panics
    /// When it is no key, or the appliance has none yet.
    pub fn is_paired_with(&self, own: &str) {
        let key = fs::read_to_string(self.disk().join("box-key")).expect("the appliance's key");
        let appliance = SecretKey::from_hex(key.trim()).expect("a key").public();
        let pairing = format!(
            "address = \"https://127.0.0.1:{}\"\n[keys]\nappliance = \"{appliance}\"\nown = \"{own}\"\n",
            self.port
        );
        fs::write(self.path("config/larder/appliance.toml"), pairing).expect("written");
    }

    /// The pairing of the home's computer leads to this port from now on.
    ///
    /// # Panics
    /// Without a pairing.
    pub fn go_to(&self, port: u16) {
        let file = self.path("config/larder/appliance.toml");
        let text = fs::read_to_string(&file).expect("a pairing");
        let mut pairing: toml::Table = text.parse().expect("a pairing");
        pairing.insert("address".to_owned(), format!("https://127.0.0.1:{port}").into());
        fs::write(file, pairing.to_string()).expect("written");
    }
}

/// Passes a request on, and returns the answer as it came; the connection ends with it.
pub fn pass_on(request: &[u8], on: &Device) -> Vec<u8> {
    let mut stream = on.connect();
    let end = request.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
    let (head, body) = request.split_at(end);
    stream.write_all(head).expect("sent");
    stream.write_all(b"\r\nConnection: close").expect("sent");
    stream.write_all(body).expect("sent");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// Head and body of the next request.
fn read_request(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let (mut request, mut part) = (Vec::new(), [0; 65536]);
    loop {
        let head = request.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|end| end + 4);
        let whole = head.map(|head| head + body_len(&request[..head]));
        if whole.is_some_and(|whole| request.len() >= whole) {
            return Ok(request);
        }
        match stream.read(&mut part)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            len => request.extend_from_slice(&part[..len]),
        }
    }
}

fn body_len(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_lowercase();
    let told = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    told.map_or(0, |told| told.trim().parse().expect("a number"))
}
