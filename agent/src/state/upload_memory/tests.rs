//! Devices beside each other on simulated time: who gets how far.

use super::*;

const MIB: usize = 1024 * 1024;
/// What 24 MiB of `network.upload_memory` leave for bodies.
const ROOM: usize = 12 * MIB;
const STEP: Duration = Duration::from_millis(5);

/// A device that sends one upload after another, several at a time.
struct Device {
    name: &'static str,
    bytes: usize,
    bytes_per_second: usize,
    senders: Vec<Sender>,
    finished: usize,
    ended: usize,
}

enum Sender {
    /// Makes the next upload; a hundredth of a second, as a client does.
    Pausing(Instant),
    Asking(u64),
    /// Since when bytes come, and how many came.
    Sending(u64, Instant, usize),
}

impl Device {
    fn new(name: &'static str, senders: usize, bytes: usize, bytes_per_second: usize) -> Self {
        let now = Instant::now();
        let senders = (0..senders).map(|_| Sender::Pausing(now)).collect();
        Self { name, bytes, bytes_per_second, senders, finished: 0, ended: 0 }
    }

    fn step(&mut self, book: &mut Book, now: Instant) {
        for sender in &mut self.senders {
            *sender = match std::mem::replace(sender, Sender::Pausing(now)) {
                Sender::Pausing(until) if until <= now => {
                    Sender::Asking(book.ask(self.name, self.bytes, now).0)
                }
                Sender::Asking(number) if !book.is_waiting(number) => Sender::Sending(number, now, 0),
                Sender::Sending(number, ..) if book.is_ended(number) => {
                    book.leave(number, now);
                    self.ended += 1;
                    Sender::Pausing(now + 2 * STEP)
                }
                Sender::Sending(number, since, came) => {
                    let passed_ms = usize::try_from(now.duration_since(since).as_millis()).unwrap();
                    let due = (self.bytes_per_second * passed_ms / 1000).min(self.bytes);
                    book.arrived(number, due - came, now);
                    if due == self.bytes {
                        book.set_whole(number);
                        book.leave(number, now);
                        self.finished += 1;
                        Sender::Pausing(now + 2 * STEP)
                    } else {
                        Sender::Sending(number, since, due)
                    }
                }
                waits => waits,
            };
        }
    }
}

/// Lets the devices live for a while, and checks at each moment that no upload holds more than there is.
fn live(book: &mut Book, devices: &mut [Device], start: Instant, lasts: Duration) -> Instant {
    let mut now = start;
    while now < start + lasts {
        for device in devices.iter_mut() {
            device.step(book, now);
        }
        book.look(now);
        let held: usize = book.uploads.values().map(Upload::holds).sum();
        assert!(held <= book.bytes_max, "{held} bytes are held");
        now += STEP;
    }
    now
}

/// How many uploads the laptop finishes in five seconds, beside devices that began long before.
fn laptop_beside(others: Vec<Device>) -> usize {
    let mut book = Book::of(ROOM);
    let mut devices = others;
    let start = live(&mut book, &mut devices, Instant::now(), Duration::from_secs(5));
    devices.push(laptop());
    live(&mut book, &mut devices, start, Duration::from_secs(5));
    devices.last().unwrap().finished
}

/// Four senders on a good network, one MiB each, as the client sends.
fn laptop() -> Device {
    Device::new("laptop", 4, MIB, 20 * MIB)
}

/// A byte now and then: memory set aside for this sender is of no use.
#[test]
fn uploads_that_trickle_hardly_slow_a_push() {
    let alone = laptop_beside(vec![]);
    assert!(alone > 300, "{alone}");
    let beside = laptop_beside(vec![Device::new("thief", 2, 8 * MIB, 1)]);
    assert!(2 * beside >= alone, "{beside} instead of {alone}");
    let beside = laptop_beside(vec![Device::new("thief", 200, 64 * 1024, 1)]);
    assert!(2 * beside >= alone, "{beside} instead of {alone}");
}

/// Just fast enough not to be taken for gone.
#[test]
fn uploads_that_crawl_hardly_slow_a_push() {
    let alone = laptop_beside(vec![]);
    for bytes in [MIB, 4 * MIB, 8 * MIB] {
        let beside = laptop_beside(vec![Device::new("thief", 100, bytes, 2 * BYTES_PER_SECOND_MIN)]);
        assert!(2 * beside >= alone, "{beside} instead of {alone}, beside uploads of {bytes} bytes");
    }
}

/// A phone at the end of the garden is slow and honest: faster devices do not take its place again and again.
#[test]
fn a_slow_link_gets_on_beside_fast_ones() {
    let mut book = Book::of(ROOM);
    let desktop = Device { name: "desktop", ..laptop() };
    let mut devices = [Device::new("phone", 3, 5 * MIB, 100 * 1024), laptop(), desktop];
    live(&mut book, &mut devices, Instant::now(), Duration::from_secs(600));
    // Fifty seconds for each upload, and one at a time for certain.
    assert!(devices[0].finished >= 8, "{} finished, {} ended", devices[0].finished, devices[0].ended);
    assert!(devices[1].finished > 600 && devices[2].finished > 600);
}

#[test]
fn a_device_alone_may_take_everything_and_is_never_ended() {
    let mut book = Book::of(ROOM);
    let mut devices = [Device::new("laptop", 12, MIB, 30 * 1024)];
    let now = live(&mut book, &mut devices, Instant::now(), Duration::from_secs(5));
    assert_eq!(book.holdings(now).free, 0);
    live(&mut book, &mut devices, now, Duration::from_secs(60));
    assert_eq!(devices[0].ended, 0);
}

/// The rest of the memory is free for other devices at once, without ending an upload, also after a pause.
#[test]
fn a_device_leaves_the_others_their_part() {
    let start = Instant::now();
    let now = start + LATELY / 2;
    let mut book = Book::of(ROOM);
    let (first, _) = book.ask("phone", 64 * 1024, start);
    book.leave(first, start);
    let mut asked: Vec<_> = (0..20).map(|_| book.ask("laptop", MIB, now).0).collect();
    asked.retain(|number| !book.is_waiting(*number));
    assert_eq!(book.holdings(now).of("laptop"), ROOM - GUARANTEED_BYTES);
    let (again, _) = book.ask("phone", MIB, now);
    assert!(!book.is_waiting(again));
    assert!(asked.iter().all(|number| !book.is_ended(*number)));
}

/// A device with many uploads stands in a queue of its own.
#[test]
fn a_device_with_many_uploads_lets_another_go_first() {
    let now = Instant::now();
    let mut book = Book::of(ROOM);
    let asked: Vec<_> = (0..60).map(|_| book.ask("laptop", MIB, now).0).collect();
    let (other, _) = book.ask("phone", MIB, now);
    assert!(book.is_waiting(other), "the laptop was alone, and took everything");
    book.leave(asked[0], now);
    assert!(!book.is_waiting(other));
}

/// A device without memory comes first, and no small upload waits behind a large one.
#[test]
fn those_that_hold_least_come_first() {
    let now = Instant::now();
    let mut book = Book::of(ROOM);
    book.ask("c", 8 * MIB, now);
    book.ask("a", 4 * MIB, now);
    let asked =
        [("a", MIB), ("b", 8 * MIB), ("d", MIB)].map(|(device, bytes)| book.ask(device, bytes, now).0);
    let holdings = book.holdings(now);
    assert_eq!(book.waiting(&holdings), [asked[2], asked[1], asked[0]]);
}

/// Small uploads of other devices may not slip by for ever.
#[test]
fn a_large_upload_gets_its_turn() {
    let mut book = Book::of(ROOM);
    let desktop = Device { name: "desktop", ..laptop() };
    let mut devices = [laptop(), desktop, Device::new("tablet", 1, 8 * MIB, 20 * MIB)];
    live(&mut book, &mut devices, Instant::now(), Duration::from_secs(30));
    assert!(devices[2].finished >= 20, "{}", devices[2].finished);
}

/// A sender that hung up while waiting leaves no trace.
#[test]
fn whoever_hangs_up_is_forgotten() {
    let now = Instant::now();
    let mut book = Book::of(ROOM);
    let (large, _) = book.ask("a", 8 * MIB, now);
    let (waits, _) = book.ask("b", 8 * MIB, now);
    assert!(book.is_waiting(waits) && !book.is_waiting(large));
    book.leave(waits, now);
    book.leave(large, now);
    assert_eq!(book.holdings(now).free, ROOM);
    assert!(book.uploads.is_empty());
}

/// Half is for opened blocks, and an upload of the largest size fits whatever the settings say.
#[test]
fn the_setting_is_never_exceeded() {
    for mib in [16, 24, 64, 100] {
        let memory = UploadMemory::new(mib * MIB);
        let openings = memory.openings.available_permits() * OPENING_BYTES;
        let bodies = memory.book().bytes_max;
        assert!(openings + bodies <= mib * MIB && bodies >= 8 * MIB, "{mib}: {openings}, {bodies}");
    }
}

/// Also within its share a device keeps no unused memory.
#[test]
fn an_upload_that_hardly_moves_gives_way_to_any_other() {
    let start = Instant::now();
    for bytes_per_second in [1, 2 * BYTES_PER_SECOND_MIN] {
        let mut book = Book::of(ROOM);
        let (first, _) = book.ask("slow", 6 * MIB, start);
        let (second, _) = book.ask("other", 64 * 1024, start);
        book.set_whole(second);
        for second in 1..=4 {
            book.arrived(first, bytes_per_second, start + second * WINDOW);
        }
        let now = start + 4 * WINDOW;
        assert!(!book.is_ended(first), "nobody waits");
        book.ask("other", 8 * MIB, now);
        assert_eq!(book.is_ended(first), bytes_per_second < BYTES_PER_SECOND_MIN, "{bytes_per_second}");
    }
}
