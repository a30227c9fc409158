//! The order in which the box comes alive, and the loop that keeps the box alive. Read this first.

use crate::decide::{self, Action, Memory};
use crate::edge::button;
use crate::edge::dashboard::{Dashboard, PasswordProblem};
use crate::edge::discovery::{Announced, announce};
use crate::edge::disks;
use crate::edge::http::sockets::Sockets;
use crate::edge::listen::take_address;
use crate::edge::mqtt::HeadOwner;
use crate::edge::panel::Panel;
use crate::edge::playing::{LampWish, play};
use crate::edge::random::{random, random_hex};
use crate::edge::{control, http, notes, notify};
use crate::event::{AgentEvent, MqttCommand};
use crate::jobs::fill::FillJob;
use crate::jobs::index::IndexJob;
use crate::jobs::keep::KeepJob;
use crate::jobs::look::LookJob;
use crate::jobs::names::NamesJob;
use crate::jobs::owners::OwnersJob;
use crate::jobs::room::RoomJob;
use crate::jobs::scrub::ScrubJob;
use crate::jobs::{self, Job};
use crate::report::{Remembered, Report};
use crate::state::gather::starting_report;
use crate::state::opening::{OpenError, open_vault};
use crate::state::{Appliance, Wires};
use jiff::Timestamp;
use larder_firmware_config::Settings;
use larder_panel::Rhythm;
use larder_store::MemberState;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Events waiting for the loop. The loop looks at the whole box each few seconds anyway, so a lost event costs no
/// truth.
const EVENTS_WAITING: usize = 256;
/// Commands that wait for the loop; the sender of a further command is told that we are busy.
const COMMANDS_WAITING: usize = 8;
/// How often the whole box is looked at again.
const TICK: Duration = Duration::from_secs(5);
/// Counting the changes of one push takes milliseconds, and a look without this wait would show an outdated answer.
/// Only the look that begins a count waits: counting the past after a start takes minutes.
const COUNT_FOR: Duration = Duration::from_millis(300);
/// Events that arrive together are answered by one look.
const GATHER: Duration = Duration::from_millis(50);
/// Connections that wait for their turn in the kernel.
const CONNECTIONS_WAITING: u32 = 1024;
const GOODBYE_WITHIN: Duration = Duration::from_secs(3);
/// A small file on each disk.
const REMEMBERED_WITHIN: Duration = Duration::from_secs(2);

/// Why the agent could not come alive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The vault could not be opened on the connected disks.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The port for devices.
    #[error("the address {address} cannot be used")]
    Listen {
        /// `network.listen`.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The local socket.
    #[error("the control socket cannot be made")]
    Control(#[source] io::Error),
    /// The file with the broker's password.
    #[error(transparent)]
    Password(#[from] PasswordProblem),
}

/// A living agent.
pub(crate) struct Running {
    pub(crate) appliance: Arc<Appliance>,
    /// The address for devices.
    pub(crate) address: SocketAddr,
    /// Where the agent's own broker listens, if any.
    pub(crate) broker: Option<SocketAddr>,
    events: mpsc::Sender<AgentEvent>,
    finished: tokio::task::JoinHandle<()>,
}

impl Running {
    /// The end: no new requests, running requests finish, packs are sealed, the world is told.
    pub(crate) async fn stop(self) {
        // A full queue cannot keep the agent alive: the loop empties it.
        let _ = self.events.send(AgentEvent::StopRequested).await;
        if let Err(error) = self.finished.await {
            tracing::error!(%error, "the loop ended badly");
        }
    }
}

/// Work that has to be done before the first device is served.
async fn make_ready(appliance: &Arc<Appliance>) {
    // The first report must be true of disks that joined just now, too.
    if let Err(error) = appliance.blocking(Appliance::look_at_disks).await {
        tracing::error!(%error, "the disks could not be looked at");
    }
    // On a disk that takes no more entries, the ledger's rule goes on to hold.
    if let Ok(Err(error)) | Err(error) = appliance.blocking(Appliance::set_rule).await {
        tracing::warn!(%error, "the rule of the settings could not be written down; the one before holds");
    }
}

/// Brings the agent to life. On return the agent serves.
pub(crate) async fn start(settings: Settings, panel: Panel) -> Result<Running, StartError> {
    let started = Timestamp::now();
    let (lamp, wishes) = watch::channel(LampWish { rhythm: Rhythm::Starting, code: None, answers: 0 });
    let button = panel.button();
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    // First: the lamp has to show whatever fails below.
    tasks.spawn(play(panel, wishes, stopped.clone()));
    let listen = settings.network.listen;
    let taken = |source| StartError::Listen { address: listen, source };
    // Before the vault: an address in use must not leave a new vault behind.
    let place = take_address(listen).map_err(taken)?;
    disks::wait_for(&settings.vault).await;
    let opening = open_vault(&settings)?;
    let (vault, opened) = (&opening.vault, &opening.opened);
    tracing::info!(
        vault = vault.id(),
        head = vault.ledger().head.sequence,
        index_rebuilt = opened.index_rebuilt,
        salvaged_packs = opened.salvaged_packs,
        "the vault is open"
    );
    let (events, inbox) = mpsc::channel(EVENTS_WAITING);
    let listener = place.listen(CONNECTIONS_WAITING).map_err(taken)?;
    let address = listener.local_addr().unwrap_or(listen);
    let starting = starting_report(&opening, &settings, address, started);
    let (latest, report) = watch::channel(Arc::new(starting));
    let remembered = notes::load(&opening.registry.home_folders(vault));
    let wires = Wires { report, events: events.clone(), stop: stopped.clone() };
    let appliance = Arc::new(Appliance::new(opening, settings, wires));
    appliance.activity.refusals.take_up(remembered.refused.clone(), appliance.clock.powered_on_s());
    let memory = Memory::of(remembered);
    make_ready(&appliance).await;
    let (commands, asked) = mpsc::channel(COMMANDS_WAITING);
    let head_owner = HeadOwner { key: appliance.box_key.public(), vault: appliance.vault.id() };
    let dashboard = Dashboard::connect(&appliance.settings, head_owner, commands).await?;
    // Before the port answers: a caller who sees the agent alive asks for a key next.
    let sockets = sockets(&appliance)?;
    tasks.spawn(http::serve(appliance.clone(), listener, stopped.clone()));
    start_jobs(&mut tasks, &appliance, sockets, &stopped);
    if appliance.settings.network.announce {
        let name = appliance.settings.appliance.name.clone();
        let announced = Announced { name, key: appliance.box_key.public(), listen: address };
        tasks.spawn(announce(announced, appliance.report.clone(), stopped.clone()));
    }
    let broker = dashboard.own_broker();
    let looped = Loop {
        appliance: appliance.clone(),
        memory,
        latest,
        lamp,
        dashboard,
        address,
        started,
        stop,
        tasks,
        counting: None,
        unsaved: None,
        saving: None,
        releasing: None,
        asked,
    };
    if let Some(button) = button {
        let appliance = appliance.clone();
        button::start(button, stopped, move |gesture| appliance.tell(AgentEvent::Button(gesture)));
    }
    let finished = tokio::spawn(looped.run(inbox));
    notify::ready();
    Ok(Running { appliance, address, broker, events, finished })
}

/// Starts every job.
fn start_jobs(
    tasks: &mut JoinSet<()>,
    appliance: &Arc<Appliance>,
    sockets: Sockets,
    stopped: &watch::Receiver<bool>,
) {
    let look = jobs::run(LookJob { sockets }, appliance.clone(), stopped.clone());
    tasks.spawn(async { look.await.sockets.close().await });
    spawn_job::<FillJob>(tasks, appliance, stopped);
    spawn_job::<IndexJob>(tasks, appliance, stopped);
    spawn_job::<KeepJob>(tasks, appliance, stopped);
    spawn_job::<NamesJob>(tasks, appliance, stopped);
    spawn_job::<OwnersJob>(tasks, appliance, stopped);
    spawn_job::<RoomJob>(tasks, appliance, stopped);
    spawn_job::<ScrubJob>(tasks, appliance, stopped);
}

fn spawn_job<J: Job>(tasks: &mut JoinSet<()>, appliance: &Arc<Appliance>, stopped: &watch::Receiver<bool>) {
    let job = jobs::run(J::default(), appliance.clone(), stopped.clone());
    tasks.spawn(async { drop(job.await) });
}

/// Sockets for `larderd`'s own commands, one beside each disk.
fn sockets(appliance: &Arc<Appliance>) -> Result<Sockets, StartError> {
    let mut sockets = Sockets::default();
    sockets.follow(appliance);
    if sockets.is_reachable() {
        return Ok(sockets);
    }
    for path in appliance.registry.paths() {
        match control::listen(&path) {
            // A disk without room for a socket can still be restored from; only `larderd`'s own commands have to
            // wait.
            Err(_) if !appliance.vault.disk_states().contains(&MemberState::Healthy) => {}
            tried => return tried.map(|_| sockets).map_err(StartError::Control),
        }
    }
    Ok(sockets)
}

struct Loop {
    appliance: Arc<Appliance>,
    memory: Memory,
    latest: watch::Sender<Arc<Report>>,
    lamp: watch::Sender<LampWish>,
    dashboard: Dashboard,
    address: SocketAddr,
    started: Timestamp,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    /// Commands over MQTT.
    asked: mpsc::Receiver<MqttCommand>,
    /// The running count.
    counting: Option<tokio::task::JoinHandle<()>>,
    /// What is to be remembered, while a disk keeps it from being saved.
    unsaved: Option<Remembered>,
    saving: Option<tokio::task::JoinHandle<()>>,
    /// Offsite disks are being released.
    releasing: Option<tokio::task::JoinHandle<()>>,
}

impl Loop {
    async fn run(mut self, mut inbox: mpsc::Receiver<AgentEvent>) {
        let mut tick = tokio::time::interval(notify::watchdog().map_or(TICK, |limit| limit.min(TICK)));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                _ = tick.tick() => AgentEvent::Tick,
                event = inbox.recv() => event.unwrap_or(AgentEvent::StopRequested),
                Some(command) = self.asked.recv() => AgentEvent::Asked(command),
            };
            let mut events = vec![event];
            if !matches!(events[0], AgentEvent::Tick | AgentEvent::StopRequested) {
                tokio::time::sleep(GATHER).await;
            }
            while let Ok(more) = inbox.try_recv() {
                events.push(more);
            }
            while let Ok(command) = self.asked.try_recv() {
                events.push(AgentEvent::Asked(command));
            }
            let stopping = events.iter().any(|event| matches!(event, AgentEvent::StopRequested));
            self.take(events).await;
            if stopping {
                break;
            }
            self.look().await;
            self.save_conditions().await;
        }
        self.end().await;
    }

    async fn take(&mut self, events: Vec<AgentEvent>) {
        for event in events {
            let action = decide::events::hear(&event, &mut self.memory, Timestamp::now(), random_hex::<8>());
            self.obey(action).await;
        }
    }

    /// Obeys the decisions.
    async fn obey(&mut self, actions: impl IntoIterator<Item = Action>) {
        for action in actions {
            match action {
                Action::Light(rhythm) => self.lamp.send_modify(|wish| wish.rhythm = rhythm),
                Action::Answer => self.lamp.send_modify(|wish| wish.answers += 1),
                Action::OpenPairing => self.appliance.open_pairing(random()),
                Action::ReleaseOffsite => self.release_offsite(),
                Action::Tell(happening) => self.dashboard.tell(&happening),
                Action::Remember(remembered) => {
                    self.unsaved = Some(remembered);
                    self.save_conditions().await;
                }
                Action::FlushIndex => {
                    let _ = self.appliance.blocking(|appliance| appliance.vault.flush_index()).await;
                }
            }
        }
    }

    /// Beside the loop, since filling a disk takes its time, and one at a time: a disk that hangs holds one thread, however
    /// often the button is held.
    fn release_offsite(&mut self) {
        if self.releasing.as_ref().is_some_and(|releasing| !releasing.is_finished()) {
            return;
        }
        let appliance = self.appliance.clone();
        let release = async move { drop(appliance.blocking(Appliance::release_offsite).await) };
        self.releasing = Some(tokio::spawn(release));
    }

    /// Saves what is to be remembered. A disk that hangs holds up neither what the owner is told, nor more than one thread.
    async fn save_conditions(&mut self) {
        if self.saving.as_ref().is_some_and(|saving| !saving.is_finished()) {
            return;
        }
        let Some(remembered) = self.unsaved.take() else { return };
        let appliance = Arc::clone(&self.appliance);
        let mut saving = tokio::task::spawn_blocking(move || {
            notes::save(&appliance.registry.home_folders(&appliance.vault), remembered, Timestamp::now());
        });
        if tokio::time::timeout(REMEMBERED_WITHIN, &mut saving).await.is_err() {
            self.saving = Some(saving);
        }
    }

    /// Begins to count pushed changes, unless a count is under way, and waits a moment for the result: a caller right
    /// after a push wants to hear of that push.
    async fn count(&mut self) {
        if self.counting.as_ref().is_some_and(|counting| !counting.is_finished()) {
            return;
        }
        let appliance = self.appliance.clone();
        let mut counting = tokio::spawn(async move {
            let counted =
                appliance.blocking(|appliance| appliance.count_history(&|| !appliance.is_stopping()));
            if let Err(error) = counted.await {
                tracing::error!(%error, "counting what has changed ended badly");
            }
        });
        let _ = tokio::time::timeout(COUNT_FOR, &mut counting).await;
        self.counting = Some(counting);
    }

    /// Looks at the whole box and shows the report everywhere.
    async fn look(&mut self) {
        self.count().await;
        let retained = self.dashboard.state().and_then(|state| state.retained_head);
        let asked = self.appliance.blocking(move |appliance| {
            appliance.save_counts(false);
            appliance.ask_disks(retained)
        });
        let Ok(disks) = asked.await else { return };
        let state = self.dashboard.state();
        let facts = self.appliance.facts(disks, state.as_ref(), self.address, self.started);
        let (report, actions) = decide::report(&facts, &mut self.memory);
        let report = Arc::new(report);
        self.dashboard.show(&report);
        // Beside the report: what the report has goes over MQTT.
        let code = self.appliance.pairing.open_code(&self.appliance.stamp()).map(|open| open.blinked);
        self.lamp.send_if_modified(|wish| std::mem::replace(&mut wish.code, code) != code);
        self.obey(actions).await;
        self.latest.send_replace(report);
        // Only here: a loop that hangs on a dead disk must be restarted.
        notify::alive();
    }

    async fn end(mut self) {
        notify::stopping();
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
        let sealed = self.appliance.blocking(|appliance| {
            let sealed = appliance.vault.seal_all();
            appliance.vault.stop();
            appliance.save_counts(true);
            sealed
        });
        if let Err(error) | Ok(Err(error)) = sealed.await {
            tracing::error!(%error, "what had arrived could not be sealed; clients will send it again");
        }
        self.dashboard.stop(GOODBYE_WITHIN).await;
    }
}
