//! The demo: the main job told on real files, with the real agent, the real client and a real broker in one process.
//!
//! No part is staged: every file comes back over HTTP, and every comparison reads bytes. Only the lamp is drawn.

mod compare;

use crate::decide::words::answers;
use crate::edge::broker_listener::BrokerListener;
use crate::edge::panel::Panel;
use crate::owner::answers::print_answers;
use crate::owner::output::say;
use crate::owner::words::Trouble;
use crate::phrase::size;
use crate::run::{self, Running};
use crate::state::Appliance;
use crate::state::pairing::Granted;
use compare::Comparison;
use jiff::tz::TimeZone;
use larder_client::{
    Connection, Existing, PairedAppliance, PairedKeys, PushOptions, Pushed, RestoreOptions, Selection,
    TransferProgress,
};
use larder_firmware_config::Settings;
use larder_format::ledger::{Role, Sees};
use larder_trust::SecretKey;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

const DEVICE: &str = "demo";
/// By which `larderd` finds the demo.
const SETTINGS: &str = "larder.toml";

/// Tells the story about `folder`; afterwards serves until `stop` unless told to end at once.
pub(crate) async fn tell(
    folder: Option<PathBuf>,
    once: bool,
    stop: impl Future<Output = ()>,
) -> Result<ExitCode, Trouble> {
    let folder = folder.unwrap_or_else(|| PathBuf::from("."));
    let folder = fs::canonicalize(&folder).map_err(|error| {
        let what = format!("The folder {} cannot be opened.", folder.display());
        Trouble::new(2, what, "Name a folder that exists: `larderd demo FOLDER`.", error)
    })?;
    if !folder.is_dir() {
        let what = format!("{} is a file, not a folder.", folder.display());
        return Err(Trouble::new(2, what, "Name a folder: `larderd demo FOLDER`.", ""));
    }
    let place = tempfile::Builder::new()
        .prefix("larder-demo-")
        .tempdir()
        .map_err(|error| local("make a folder", &error))?;
    let settings = settings(place.path());
    let (listen, disk) = (settings.network.listen, &settings.vault.disks[0]);
    let disks = format!("[network]\nlisten = \"{listen}\"\n[vault]\ndisks = [{disk:?}]\n");
    fs::write(place.path().join(SETTINGS), disks).map_err(|error| local("write a file", &error))?;
    let running = run::start(settings, Panel::dark().with_terminal()).await?;
    let listener = running.broker.map(BrokerListener::listen);
    say(format_args!(
        "Larder is alive at {}; its backups lie in {}.\n",
        running.address,
        place.path().display()
    ))?;
    let held = story(&running, &folder, place.path()).await;
    // A broken-off story ends with its reason, not with a list.
    if let Some(listener) = listener.as_ref().filter(|_| held.is_ok()) {
        show_mqtt(listener).await?;
    }
    if !once && held.is_ok() {
        explain(&running, place.path()).await?;
        tokio::select! {
            () = stop => {}
        }
        say("\nStopping.")?;
    }
    running.stop().await;
    let held = held?;
    let failed = held.iter().filter(|comparison| !comparison.held()).count();
    if failed == 0 {
        say(format_args!("Every one of the {} comparisons held.", held.len()))?;
        Ok(ExitCode::SUCCESS)
    } else {
        say(format_args!("{failed} of {} comparisons did NOT hold.", held.len()))?;
        Ok(ExitCode::FAILURE)
    }
}

fn settings(place: &Path) -> Settings {
    let mut settings = Settings::default();
    settings.appliance.name = "Larder demo".to_owned();
    settings.vault.disks = vec![place.join("disk")];
    settings.network.listen = free((Ipv4Addr::LOCALHOST, settings.network.listen.port()).into());
    settings.mqtt.listen = free(settings.mqtt.listen);
    settings
}

/// The address itself, or the same with any free port when another program uses the port.
fn free(address: SocketAddr) -> SocketAddr {
    let mut any = address;
    any.set_port(0);
    let bound = TcpListener::bind(address).or_else(|_| TcpListener::bind(any));
    bound.and_then(|listener| listener.local_addr()).unwrap_or(address)
}

async fn story(running: &Running, folder: &Path, place: &Path) -> Result<Vec<Comparison>, Trouble> {
    let appliance = running.appliance.clone();
    let connection = connect(&appliance, running.address)?;
    let name = larder_client::source_name_for(folder).unwrap_or_else(|| "files".to_owned());
    let (folder, place) = (folder.to_owned(), place.to_owned());
    let told = tokio::task::spawn_blocking(move || {
        Story { appliance, connection, source: format!("{DEVICE}/{name}"), place }.tell(&folder)
    });
    told.await.map_err(|error| local("tell the story", &error))?
}

fn connect(appliance: &Appliance, address: SocketAddr) -> Result<Connection, Trouble> {
    let own = SecretKey::generate().map_err(|error| local("make a key", &error))?;
    let granted = Granted { device: DEVICE.to_owned(), role: Role::User, sees: Sees::usual(Role::User) };
    appliance.take_key(granted, &own.public())?;
    let keys = PairedKeys { appliance: appliance.box_key.public(), own };
    Ok(Connection::new(&PairedAppliance { address: format!("https://{address}"), keys }))
}

struct Story {
    appliance: Arc<Appliance>,
    connection: Connection,
    source: String,
    place: PathBuf,
}

impl Story {
    fn tell(&self, folder: &Path) -> Result<Vec<Comparison>, Trouble> {
        let mut held = Vec::new();
        say(format_args!("1. Push {} as {}.", folder.display(), self.source))?;
        let first = self.push(folder)?;
        say("2. Give it all back into a copy, over the network, and compare.")?;
        let copy = self.place.join("copy");
        self.restore(first.receipt.snapshot, "", &copy)?;
        held.push(compare::folders(&copy, folder).map_err(|error| local("compare", &error))?);
        let files = compare::three_files(&copy).map_err(|error| local("look at the copy", &error))?;
        let Some([edited, deleted, overwritten]) = files else {
            let what = format!("{} has fewer than three files that are not empty.", folder.display());
            return Err(Trouble::new(2, what, "Name a folder with more in it: `larderd demo FOLDER`.", ""));
        };
        let before =
            [&edited, &deleted, &overwritten].map(|path| fs::read(copy.join(path)).unwrap_or_default());
        say(format_args!(
            "3. In the copy: edit {}, delete {},\n   overwrite {}.",
            edited.display(),
            deleted.display(),
            overwritten.display()
        ))?;
        change(&copy, &edited, &deleted, &overwritten).map_err(|error| local("change the copy", &error))?;
        say("4. Push the copy: the present moves on.")?;
        self.push(&copy)?;
        say("5. Push again with nothing changed.")?;
        self.push(&copy)?;
        say("6. The four questions to ask of any backup:\n")?;
        self.appliance.count_history(&|| true);
        let facts = self.appliance.source_facts(&self.appliance.vault.ledger(), &self.source);
        let answers = answers::of(&facts, &TimeZone::system());
        print_answers(&self.source, &answers)?;
        say(format_args!(
            "\n7. Bring back what the present has lost, from snapshot {}.",
            first.receipt.snapshot
        ))?;
        for (path, before) in [edited, deleted, overwritten].iter().zip(before) {
            let target = self.place.join("back").join(held.len().to_string());
            let text =
                larder_format::wire::escape_name(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()));
            self.restore(first.receipt.snapshot, &text, &target)?;
            held.push(compare::file(path, &target, &before));
        }
        for comparison in &held {
            say(format_args!("   {comparison}"))?;
        }
        say("")?;
        Ok(held)
    }

    fn push(&self, folder: &Path) -> Result<Pushed, Trouble> {
        let progress = TransferProgress::default();
        let started = Instant::now();
        let options = PushOptions { cache: Some(self.place.join("cache")), ..PushOptions::default() };
        let pushed = larder_client::push(&self.connection, &self.source, folder, &options, &progress)?;
        say(format_args!(
            "   Snapshot {}: {} files, {}; {} sent, in {:.1} s.",
            pushed.receipt.snapshot,
            pushed.totals.files,
            size(pushed.totals.bytes),
            size(progress.sent_bytes()),
            started.elapsed().as_secs_f64(),
        ))?;
        if pushed.skipped.count > 0 {
            say(format_args!("   {} files could not be read and are not in it.", pushed.skipped.count))?;
        }
        Ok(pushed)
    }

    fn restore(&self, snapshot: u64, path: &str, to: &Path) -> Result<(), Trouble> {
        fs::create_dir_all(to).map_err(|error| local("make a folder", &error))?;
        let options = RestoreOptions { existing: Existing::Keep, ..RestoreOptions::default() };
        let path = larder_format::wire::unescape_name(path).unwrap_or_default();
        let when = snapshot.to_string();
        let wanted = Selection { source: &self.source, when: &when, path: &path };
        larder_client::restore(&self.connection, &wanted, to, &options, &TransferProgress::default())?;
        Ok(())
    }
}

fn change(copy: &Path, edited: &Path, deleted: &Path, overwritten: &Path) -> std::io::Result<()> {
    let mut bytes = fs::read(copy.join(edited))?;
    bytes.extend_from_slice(b"\nan edit that somebody regrets\n");
    fs::write(copy.join(edited), bytes)?;
    fs::remove_file(copy.join(deleted))?;
    fs::write(copy.join(overwritten), b"overwritten by mistake\n")
}

async fn show_mqtt(listener: &BrokerListener) -> Result<(), Trouble> {
    // The loop shows its findings a moment later, on a busy machine a long one, and events come last.
    let has_event = || listener.noted().iter().any(|message| message.topic.ends_with("/event"));
    let since = Instant::now();
    while !has_event() && since.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    let mut noted = listener.noted();
    say(format_args!("8. Over MQTT went {} messages; the last on each topic:", noted.len()))?;
    noted.reverse();
    let mut seen = std::collections::BTreeMap::new();
    for message in noted {
        seen.entry(message.topic.clone()).or_insert(message);
    }
    for message in seen.values() {
        let start: String = message.payload.chars().take(70).collect();
        let rest = if message.payload.len() > start.len() { " …" } else { "" };
        let kept = if message.retained { "  (retained)" } else { "" };
        say(format_args!("   {}{kept}\n      {start}{rest}", message.topic))?;
    }
    say("")
}

async fn explain(running: &Running, place: &Path) -> Result<(), Trouble> {
    say("Larder keeps serving until you press Ctrl-C; this demo's backups are then removed.")?;
    if let Some(broker) = running.broker {
        say(format_args!("Watch it:        mosquitto_sub -p {} -v -t '#'", broker.port()))?;
    }
    let larder = larder_command();
    let larderd =
        std::env::current_exe().map_or_else(|_| "larderd".to_owned(), |path| path.display().to_string());
    say(format_args!(
        "Push your own:   {larderd} pair --device {DEVICE} --config {}",
        place.join(SETTINGS).display()
    ))?;
    say(format_args!(
        "                 {larder} pair {}      (type the code that the first one shows)",
        running.address
    ))?;
    say(format_args!("                 {larder} push FOLDER"))?;
    say(format_args!("Look into it:    {larder} sources"))
}

/// How to call the client: beside this program if built, otherwise by cargo.
fn larder_command() -> String {
    let beside =
        std::env::current_exe().ok().map(|path| path.with_file_name("larder")).filter(|path| path.exists());
    beside.map_or_else(
        || "cargo run --release -p larder-client --".to_owned(),
        |path| path.display().to_string(),
    )
}

fn local(what: &str, error: &dyn std::error::Error) -> Trouble {
    Trouble::new(
        1,
        format!("The demo could not {what}."),
        "See whether the temporary folder has room.",
        error,
    )
}
