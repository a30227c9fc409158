//! Faults: what the store does when disks fail, lie dead, fill up or rot. Everything is simulated and repeatable.

mod coming_and_going;
mod crooked;
mod damage;
mod days;
mod failing_disk;
mod filling;
mod forgotten;
mod hostile_tree;
mod interleavings;
mod letting_go;
mod lost_folder;
mod names;
mod not_files;
mod not_whole;
mod power_cut;
mod random;
mod repair;
mod repair_cut;
mod repair_limits;
mod rot;
mod strays;
mod tiny_chunks;
mod two_disks;
mod unread;
mod waits;
mod workload;
