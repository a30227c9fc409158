//! The calls of Linux and its kin.

pub(crate) mod attributes;
pub(crate) mod listing;
