//! The calls that only one system has: open folders, attributes, holes, owners, the places of settings.
//!
//! The rest of the client speaks of folders, names, statuses and causes, never of a system's own calls. So another
//! system needs a folder beside `unix` with the same types and functions, and nothing else. Names of files are bytes
//! here, as a tree keeps names. Not here: the use of files (`push`, `restore`, `rescue`).

mod cause;
mod listing;
mod status;
#[cfg(unix)]
mod unix;

pub(crate) use cause::ErrorCause;
pub(crate) use listing::{KindHint, NameList};
pub(crate) use status::{FileKind, FileStatus, OwnerIds};
#[cfg(all(test, unix))]
pub(crate) use unix::system::set_permissions;
#[cfg(unix)]
pub(crate) use unix::{
    change_events::{ChangeEvents, FolderEvent, FolderSpot, tells_of_changes, wait_for_event},
    error::SystemError,
    files::{next_data, next_hole, open_untouched, read_at, read_exact_at, status_of, write_all_at},
    folder::{FolderRef, NameAt, OpenFolder, is_unfinished, make_unfinished},
    new_files::{NewFile, NewFiles},
    owners::OwnerNames,
    power::is_on_battery,
    restorer::{Acls, Attributes, Restorer, gives_acl},
    signals::starting_program,
    stop::StopRequest,
    system::{
        cache_folder, computer_name, config_folder, device_of, name_bytes, open_files_max, own_ids,
        path_of_bytes, private_file, public_file, since_boot, state_folder, sync_output,
    },
    terminal::{HiddenInput, on_interrupt},
    xattrs::{UNREADABLE, Xattrs, XattrsLeftOut, xattrs_of},
};
