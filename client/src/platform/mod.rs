//! Every call that only one system has.

pub(crate) mod unix;
