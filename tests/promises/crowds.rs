//! One device, or a crowd without any key, asks for everything at once: the others hardly notice.

use crate::hostile::Sender;
use harness::device::{Device, Encrypted, head};
use harness::home::Home;
use larder_format::tree::{Kind, Totals};
use rustix::net::{AddressFamily, SocketType};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What the machine of the tests may take longer in some moment than in another.
const UNEVEN: Duration = Duration::from_secs(2);

fn connect(home: &Home) -> TcpStream {
    TcpStream::connect(("127.0.0.1", home.port)).expect("connected")
}

/// Pushes new files of a few MiB; says how long that took.
fn timed_push(home: &Home, name: &str, seed: u64) -> Duration {
    let folder = home.path(name);
    fs::create_dir_all(&folder).expect("a folder");
    let mut state = seed | 1;
    for file in 0..4 {
        // Nothing that shrinks, so that each file is an upload of a MiB.
        let bytes: Vec<u8> = (0..1 << 20)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[3]
            })
            .collect();
        fs::write(folder.join(format!("{file}.bin")), bytes).expect("written");
    }
    let since = Instant::now();
    home.push(&folder, name);
    since.elapsed()
}

/// Two uploads of the largest size that hardly move hold all memory for uploads, and come again when they are ended.
#[test]
fn uploads_that_trickle_hardly_delay_a_push() {
    let home = Home::new();
    let alone = timed_push(&home, "alone", 1);
    let thief = home.device("thief", "push");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    trickle(&thief, &is_over);
                }
            });
        }
        // Long enough for all of them to be in.
        std::thread::sleep(Duration::from_secs(2));
        let beside = timed_push(&home, "beside", 2);
        is_over.store(true, Ordering::SeqCst);
        assert!(beside < 2 * alone + UNEVEN, "{beside:?} beside them, {alone:?} alone");
    });
}

/// One upload, a byte now and then, until it is ended.
fn trickle(thief: &Device, is_over: &AtomicBool) {
    let mut stream = thief.connect();
    stream.sock.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    let mut sent = stream.write_all(head("POST", "/v1/chunks", 8_388_608).as_bytes());
    while sent.is_ok() && !is_over.load(Ordering::SeqCst) {
        let mut answer = [0; 1024];
        match stream.read(&mut answer) {
            Ok(len) => {
                let answer = String::from_utf8_lossy(&answer[..len]);
                assert!(
                    len == 0 || answer.starts_with("HTTP/1.1 408") && answer.contains("busy"),
                    "{answer}"
                );
                return;
            }
            Err(_) => sent = stream.write_all(b"x"),
        }
    }
}

/// Headers without an end, from whoever is in the network: the agent neither keeps nor waits for them.
#[test]
fn endless_headers_take_hardly_any_memory() {
    let home = Home::new();
    timed_push(&home, "before", 3);
    let before = home.memory_peak();
    let line = format!("X-Endless: {}\r\n", "y".repeat(1000));
    let crowd: Vec<_> = (0..256)
        .map(|_| {
            let mut stream = connect(&home);
            let mut sent = stream.write_all(b"GET /v1/health HTTP/1.1\r\nHost: larder\r\n");
            for _ in 0..390 {
                // Whoever is shown the door may go on knocking.
                sent = sent.and_then(|()| stream.write_all(line.as_bytes()));
            }
            stream
        })
        .collect();
    let grown = home.memory_peak().saturating_sub(before);
    assert!(grown < 8 << 20, "{} KiB more", grown >> 10);
    drop(crowd);
}

/// Asks on so many connections, one after the other, that a wait at each would be seen.
const CONNECTIONS: usize = 60;

/// Seconds in which a computer with a key asks on [`CONNECTIONS`].
fn timed_asking(device: &Device) -> Duration {
    let since = Instant::now();
    for _ in 0..CONNECTIONS {
        assert_eq!(device.ask("GET", "/v1/me").0, 200);
    }
    since.elapsed()
}

/// A push and many connections, alone and beside `crowd` connections from `addresses`, in turns, that are opened again when they
/// are ended; each sends `first`.
fn gets_in_beside(crowd: usize, addresses: &[[u8; 4]], first: &[u8]) {
    let home = Home::new();
    let phone = home.device("phone", "push");
    let alone = (timed_push(&home, "alone", 4), timed_asking(&phone));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut next = addresses.iter().cycle();
            let mut open = || {
                let mut one = connect_from(*next.next().expect("an address"), home.port);
                let _ = one.write_all(first);
                one.set_nonblocking(true).expect("set");
                one
            };
            let is_open = |one: &mut TcpStream| {
                one.read(&mut [0; 256]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
            };
            let mut crowd: Vec<_> = (0..crowd).map(|_| open()).collect();
            while !is_over.load(Ordering::SeqCst) {
                for one in &mut crowd {
                    if !is_open(one) {
                        *one = open();
                    }
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        std::thread::sleep(Duration::from_secs(2));
        let beside = (timed_push(&home, "beside", 5), timed_asking(&phone));
        is_over.store(true, Ordering::SeqCst);
        let (count, first) = (addresses.len(), addresses[0]);
        println!(
            "push and {CONNECTIONS} connections: {beside:?} beside {crowd} from {first:?} and {} more, {alone:?} alone",
            count - 1
        );
        assert!(beside.0 < 2 * alone.0 + UNEVEN, "a push: {beside:?} beside them, {alone:?} alone");
        assert!(beside.1 < 2 * alone.1 + UNEVEN, "many connections: {beside:?} beside them, {alone:?} alone");
    });
}

fn connect_from(address: [u8; 4], port: u16) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    rustix::net::bind(&socket, &SocketAddrV4::new(address.into(), 0)).expect("an address of loopback");
    rustix::net::connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).expect("connected");
    socket.into()
}

/// Connections that say nothing, also from the address of whoever has a key.
#[test]
fn connections_that_say_nothing_keep_nobody_out() {
    gets_in_beside(500, &[[127, 0, 0, 1]], b"");
}

/// The same, of more connections than there are places for, which come again as fast as they are ended.
#[test]
fn more_silent_connections_than_there_are_places_keep_nobody_out() {
    for address in [[127, 0, 0, 1], [127, 0, 0, 2]] {
        gets_in_beside(800, &[address], b"");
    }
}

/// The same from hundreds of addresses, as a single neighbour has them by IPv6: no address has more than another.
#[test]
fn silent_connections_of_many_addresses_keep_nobody_out() {
    let addresses: Vec<_> = (1..=4).flat_map(|net| (1..=200).map(move |host| [127, 1, net, host])).collect();
    gets_in_beside(800, &addresses, b"");
}

/// Half-open connections of another computer: those with the first byte of a handshake are not told from a slow client.
#[test]
fn half_a_handshake_from_elsewhere_keeps_nobody_out() {
    gets_in_beside(500, &[[127, 0, 0, 2]], &[0x16]);
}

/// Keys that may read ask for the versions of a file in a folder as large as one can be, on all their connections.
#[test]
fn many_questions_at_once_take_the_memory_of_a_few() {
    let home = Home::new();
    let sender = Sender(home.device("laptop", "push"));
    let names: Vec<_> = (0..3_500).map(|number| format!("{number:05}-{}", "n".repeat(90))).collect();
    let totals = Totals::default();
    for push in 0..10 {
        let kind = |at: usize| if at == push { Kind::Socket } else { Kind::Fifo };
        let entries: Vec<_> = names.iter().enumerate().map(|(at, name)| (&**name, kind(at))).collect();
        let top = Kind::Directory { node: sender.keep_folder(&entries), totals };
        sender.commit("large", push as u128, top, totals);
    }
    let seeing = |device| home.device_with(&["--device", device, "--role", "read", "--sees", "all"]);
    let devices = ["a", "b"].map(seeing);
    let path = format!("/v1/sources/laptop/large/versions?path={}", names[3_000]);
    let ask = |device: &Device| {
        let mut stream = device.connect();
        stream.write_all(head("GET", &path, 0).as_bytes()).expect("sent");
        stream
    };
    let answered = |mut stream: Encrypted| {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    };
    let asked: Vec<_> = devices.iter().cycle().take(4).map(ask).collect();
    asked.into_iter().for_each(answered);
    let before = home.memory_peak();
    let asked: Vec<_> = devices.iter().cycle().take(120).map(ask).collect();
    asked.into_iter().for_each(answered);
    let grown = home.memory_peak().saturating_sub(before);
    assert!(grown < 8 << 20, "{} KiB more", grown >> 10);
}
