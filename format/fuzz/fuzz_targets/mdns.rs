//! Messages of multicast DNS from anybody in the network.
#![no_main]

use larder_format::mdns::{AnnouncedLevel, Announcement, RecordLifetime, read_query};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let own = Announcement {
        name: "Larder".to_owned(),
        version: "0.1.0".to_owned(),
        level: AnnouncedLevel::Fine,
        key_start: "3fa90c21".to_owned(),
        port: 8477,
    };
    let Some(query) = read_query(bytes, &own) else { return };
    let addresses = ["192.168.1.20".parse().expect("an address")];
    assert!(!query.wanted.is_nothing());
    let answer = own.message(query.wanted, &addresses, RecordLifetime::Usual);
    assert_eq!(read_query(&answer, &own), None, "nobody answers an answer");
    // What goes to a made-up address is bounded whatever was asked.
    assert!(own.plain_answer(&query, &addresses).len() < 4096);
});
