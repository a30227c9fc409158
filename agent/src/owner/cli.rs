//! The command line of `larderd`: each command that a person can type, with one call.

use super::output::{report, say_all};
use super::which::Which;
use super::words::Trouble;
use super::{acknowledge, answers, commands, disks, keeping, keys, let_go, letting_go, scrub, space};
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use larder_format::ledger::Role;
use std::path::PathBuf;
use std::process::ExitCode;

/// Larder's agent: receives backups, keeps every version, gives files back.
#[derive(Debug, Parser)]
#[command(name = "larderd", version, about, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service. Without a settings file: everything at its default, backups in ./larder-data
    Run {
        /// The settings, see the commented larder.toml
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Tell the whole story in a minute on real files, then keep serving
    #[cfg(feature = "demo")]
    Demo {
        /// The folder whose copy is pushed, edited and restored; the present folder if none is given
        folder: Option<PathBuf>,
        /// End after the story; exit code 0 only if every comparison held
        #[arg(long)]
        once: bool,
    },
    /// Find every mistake in a settings file, each with its line and what to write instead
    CheckConfig {
        /// The settings to check
        file: PathBuf,
    },
    /// Answer the four questions to ask of any backup, from facts
    Answers {
        /// DEVICE/NAME; all sources if none is given
        source: Option<String>,
        #[command(flatten)]
        which: Which,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Show a code with which a computer pairs within two minutes
    Pair {
        /// Name of the computer: the first half of its sources' names
        #[arg(long)]
        device: String,
        /// What the computer may do
        #[arg(long, value_enum, default_value_t = RoleArg::User)]
        role: RoleArg,
        /// Other computers whose backups it may see besides its own, with commas between, or `all`; for a new computer in the
        /// place of an old one: the name of the old one
        #[arg(long, value_name = "DEVICES")]
        sees: Option<String>,
        #[command(flatten)]
        which: Which,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// List the keys that computers have
    Keys {
        #[command(flatten)]
        which: Which,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// End the keys of a computer that was lost or sold; what it backed up stays
    Revoke {
        /// Name of the computer
        device: String,
        /// Only the key that `larderd keys` shows with these digits, or that begins with them; every key of the computer if
        /// none are given
        #[arg(long, value_name = "DIGITS")]
        key: Option<String>,
        #[command(flatten)]
        which: Which,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Show every backup disk: where it is, how it is, and what it lacks
    Disks {
        #[command(flatten)]
        which: Which,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Show what takes the room on each disk, and what becomes free by itself
    Space {
        #[command(flatten)]
        which: Which,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Take in an empty disk, or take one back that is known; nothing on it is ever emptied
    Adopt {
        /// The folder where the disk is mounted
        path: PathBuf,
        /// It is meant to be away most of the time, and filled whenever it is connected
        #[arg(long)]
        offsite: bool,
        #[command(flatten)]
        which: Which,
    },
    /// Bring a disk up to date and let go of it, so that it may be unplugged
    Release {
        /// Its path, or the first digits of its id
        disk: String,
        #[command(flatten)]
        which: Which,
    },
    /// Miss a disk no longer that will never come back; takes 72 hours, and other disks that hold everything
    Forget {
        /// Its path, or the first digits of its id
        disk: String,
        /// Take it back
        #[arg(long)]
        undo: bool,
        /// It is away and gone for good: what only it has is given up with it, and named
        #[arg(long, conflicts_with = "undo")]
        gone: bool,
        #[command(flatten)]
        which: Which,
    },
    /// Make the index anew from the backups themselves; always safe
    RebuildIndex {
        #[command(flatten)]
        which: Which,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Read everything on every disk now, check it, repair it, and say what was found; it goes on by itself if you stop
    /// watching
    Scrub {
        #[command(flatten)]
        which: Which,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Let go of what the rule no longer keeps; the service does this by itself once a day
    Prune {
        /// Tell what would go, and do nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        which: Which,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Keep one snapshot whatever the rule says, until `unkeep`; said again, only for longer
    Keep {
        /// Its number, as `larder snapshots` lists it
        snapshot: u64,
        /// What it is called from now on, such as "before the move"
        #[arg(long)]
        label: Option<String>,
        /// Up to the end of this day, such as 2030-12-31; for ever without one
        #[arg(long, value_name = "DATE")]
        until: Option<String>,
        #[command(flatten)]
        which: Which,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Keep a snapshot only as long as the rule says, three days from now
    Unkeep {
        /// Its number
        snapshot: u64,
        /// Still up to the end of this day
        #[arg(long, value_name = "DATE")]
        until: Option<String>,
        #[command(flatten)]
        which: Which,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Stop letting go of anything, until `unhold`
    Hold {
        /// DEVICE/NAME
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        source: Option<String>,
        /// Every source
        #[arg(long)]
        all: bool,
        /// Why, for whoever asks later
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        which: Which,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// End a hold, three days from now
    Unhold {
        /// Its number, as `larderd hold` and the dashboards tell it
        hold: u64,
        #[command(flatten)]
        which: Which,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Let go of everything that a source has, such as one pushed by mistake: three days from now, and shown until then
    LetGo {
        /// DEVICE/NAME each
        #[arg(required = true)]
        sources: Vec<String>,
        /// Only what arrived before this day, such as 2026-03-31
        #[arg(long, value_name = "DATE", conflicts_with = "undo")]
        before: Option<String>,
        /// Keep it after all
        #[arg(long)]
        undo: bool,
        #[command(flatten)]
        which: Which,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Keep a snapshot and look at it no more: counts, versions and differences leave out one that harms the appliance
    SetAside {
        /// Its number, as `larder snapshots` lists it
        snapshot: u64,
        /// Why, for whoever asks later
        #[arg(long, default_value = "the owner set it aside")]
        reason: String,
        /// Look at it again
        #[arg(long, conflicts_with = "reason")]
        undo: bool,
        #[command(flatten)]
        which: Which,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Say that you have seen what is wrong: the lamp is quiet until something new happens, after an alarm too
    Acknowledge {
        #[command(flatten)]
        which: Which,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Say that the appliance's clock is right, after it jumped; otherwise a day in sync proves it
    ConfirmClock {
        #[command(flatten)]
        which: Which,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Put the lamp out; the service does this when it stops, so that no light speaks for a dead process
    LampOff {
        #[command(flatten)]
        which: Which,
    },
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print a manual page
    Man {
        /// The command that it is about; without one, all commands in short
        command: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleArg {
    /// Add backups of its own; see nothing of the past
    Push,
    /// Add backups of its own, and list and restore them
    User,
    /// List and restore, and add nothing
    Read,
    /// Add backups of its own, list and restore those of every computer, and keep backups for longer
    Admin,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Push => Self::Push,
            RoleArg::User => Self::User,
            RoleArg::Read => Self::Read,
            RoleArg::Admin => Self::Admin,
        }
    }
}

/// Runs what was typed.
pub(crate) fn main() -> ExitCode {
    // clap prints its own errors and ends with 2, the code of wrong usage.
    match run(Args::parse().command) {
        Ok(code) => code,
        Err(trouble) => report(&trouble),
    }
}

fn run(command: Command) -> Result<ExitCode, Trouble> {
    match command {
        Command::Run { config } => commands::run(config.as_deref()),
        #[cfg(feature = "demo")]
        Command::Demo { folder, once } => commands::demo(folder, once),
        Command::CheckConfig { file } => commands::check_config(&file),
        Command::Answers { source, which, json } => answers::answers(&which, source.as_deref(), json),
        Command::Pair { device, role, sees, which, json } => {
            keys::pair(&which, keys::wish(device, role.into(), sees.as_deref())?, json)
        }
        Command::Keys { which, json } => keys::list(&which, json),
        Command::Revoke { device, key, which, json } => keys::revoke(&which, &device, key.as_deref(), json),
        Command::Disks { which, json } => disks::list(&which, json),
        Command::Space { which, json } => space::space(&which, json),
        Command::Adopt { path, offsite, which } => disks::adopt(&which, &path, offsite),
        Command::Release { disk, which } => disks::release(&which, &disk),
        Command::Forget { disk, undo, gone, which } => disks::forget(&which, &disk, undo, gone),
        Command::RebuildIndex { which, json } => commands::rebuild_index(&which, json),
        Command::Scrub { which, json } => scrub::scrub(&which, json),
        Command::Prune { dry_run, which, json } => letting_go::prune(&which, dry_run, json),
        Command::Keep { snapshot, label, until, which, json } => {
            keeping::keep(&which, keeping::request(snapshot, label, until.as_deref())?, json)
        }
        Command::Unkeep { snapshot, until, which, json } => {
            keeping::unkeep(&which, snapshot, until.as_deref(), json)
        }
        Command::Hold { source, all: _, reason, which, json } => {
            letting_go::hold(&which, source.as_deref(), &reason, json)
        }
        Command::LetGo { sources, before, undo, which, json } => {
            let request = |source: &String| let_go::request(source, before.as_deref(), undo);
            let requests = sources.iter().map(request).collect::<Result<_, _>>()?;
            let_go::let_go(&which, requests, json)
        }
        Command::Unhold { hold, which, json } => letting_go::unhold(&which, hold, json),
        Command::SetAside { snapshot, reason, undo, which, json } => {
            letting_go::set_aside(&which, snapshot, (!undo).then_some(reason), json)
        }
        Command::Acknowledge { which, json } => acknowledge::acknowledge(&which, json),
        Command::ConfirmClock { which, json } => letting_go::confirm_clock(&which, json),
        Command::LampOff { which } => commands::lamp_off(&which),
        Command::Completions { shell } => {
            // Generating into the output itself would end in a panic when its reader leaves.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "larderd", &mut script);
            say_all(&script).map(|()| ExitCode::SUCCESS)
        }
        Command::Man { command } => man(command.as_deref()),
    }
}

fn man(about: Option<&str>) -> Result<ExitCode, Trouble> {
    let mut all = Args::command();
    all.build();
    let found = about.map_or(Some(&all), |name| all.find_subcommand(name));
    let Some(command) = found else {
        let what = format!("There is no command `{}`.", about.unwrap_or_default());
        return Err(Trouble::new(2, what, "`larderd --help` lists them.", ""));
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .render(&mut page)
        .map_err(|error| Trouble::new(1, "The page could not be made.", "Try again.", error))?;
    say_all(&page).map(|()| ExitCode::SUCCESS)
}
