//! Promises, tested on the real binaries from outside. Each test's name is a sentence that an owner understands.

mod at_the_box;
mod by_itself;
mod byte_exact;
mod client_words;
mod crowds;
mod damaged;
mod disks;
mod honest_client;
mod hostile;
mod household;
mod injected;
mod interruptions;
mod letting_go;
mod listings;
mod messages;
mod moments;
mod mqtt;
mod old_disks;
mod rescue;
mod rhythm;
mod room;
mod routes;
mod set_aside;
mod sources;
mod yanked;
mod year;
