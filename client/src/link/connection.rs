//! The appliance over HTTP: addresses, requests, retries, and problems turned into `ClientError`.
//!
//! A box at home is restarted, updated and unplugged. A request without an answer is repeated, with two minutes of
//! pauses, before a push gives up. A person who waits for the first answer is told within seconds instead: the
//! commonest cause is a wrong address. Every request may be repeated: uploads are asked for anew, commits carry a
//! number of their own. Not here: how bytes travel (`transport`), questions of a person (`questions`).

use super::{
    answer::{AnswerError, AnswerSize, endless, read_answer, stand_in, why_no_answer},
    asker::Asker,
    body::{BackToBack, read_block},
    limit::{ByteRate, Paced, RateLimit},
    path::{percent_encode, source_path},
    pinned::PinnedTls,
    transport::{SEND_TIMEOUT, agent_for},
};
use crate::{
    ClientError, NoAnswer, PairingLack, Past, Remote, platform::since_boot, settings::PairedAppliance,
};
use backon::{BlockingRetryable, ExponentialBuilder};
use jiff::Zoned;
use larder_format::{
    ChunkId,
    wire::{
        BLOCKS_TYPE, Commit, IDS_TYPE, Identity, Neighbours, Problem, PushStart, PushWelcome, Receipt,
        Received, SnapshotInfo, decode_ids, decode_places, encode_ids,
    },
};
use serde::de::DeserializeOwned;
use std::{
    cell::Cell,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use ureq::{Agent, Body, RequestBuilder, SendBody, http::Response, typestate::WithBody};

/// Between two attempts.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Pauses of a request together: longer than a box needs after a power cut, half a minute to boot and a minute to
/// wait for disks (`SPIN_UP` in agent/src/run.rs).
const RETRY_FOR: Duration = Duration::from_secs(120);
/// Pauses before the first answer together, for a person who waits.
const FIRST_CONTACT_FOR: Duration = Duration::from_secs(3);
/// The first question needs no disk. Without this limit, a program that takes connections and says nothing would keep
/// a person waiting for ten minutes.
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Senders of a push (`Threads` in push/mod.rs), which share a limit.
const UPLOADS_AT_ONCE: u32 = 4;

/// A paired appliance.
pub struct Connection {
    agent: Agent,
    address: String,
    retry_for: Duration,
    /// Whether somebody waits for the first answer and would rather hear of a wrong address.
    is_awaited: bool,
    /// Set by the first answer.
    is_met: Arc<AtomicBool>,
    /// Called at the first failed request of an outage that is waited out.
    on_outage: Option<OnOutage>,
    /// Whether `on_outage` was called for the present outage.
    is_outage_told: AtomicBool,
    asker: Option<Asker>,
    limit: Option<RateLimit>,
}

/// Takes the failure, and how long the request will be repeated.
type OnOutage = Box<dyn Fn(&ClientError, Duration) + Send + Sync>;

impl Connection {
    /// A connection to the appliance of a pairing. Sends nothing yet.
    pub fn new(pairing: &PairedAppliance) -> Self {
        let PairedAppliance { address, keys } = pairing;
        Self::over(PinnedTls::new(&keys.own, Some(keys.appliance)), address)
    }

    pub(super) fn over(tls: PinnedTls, address: &str) -> Self {
        Self {
            agent: agent_for(tls),
            address: address.trim_end_matches('/').to_owned(),
            retry_for: RETRY_FOR,
            is_awaited: false,
            is_met: Arc::default(),
            on_outage: None,
            is_outage_told: AtomicBool::new(false),
            asker: None,
            limit: None,
        }
    }

    /// Sends no faster than `rate`.
    #[must_use]
    pub(crate) fn with_limit(mut self, rate: Option<ByteRate>) -> Self {
        self.limit = rate.map(|rate| RateLimit::new(rate, since_boot));
        self
    }

    /// Gives up soon where the very first question gets no answer; later questions are repeated as ever.
    #[must_use]
    pub fn awaited(mut self) -> Self {
        self.is_awaited = true;
        self
    }

    /// Has `tell` called once in each outage that is waited out, with the failure and the time of waiting.
    #[must_use]
    pub fn telling_outages(mut self, tell: impl Fn(&ClientError, Duration) + Send + Sync + 'static) -> Self {
        self.on_outage = Some(Box::new(tell));
        self
    }

    /// Gives up at the first missing answer: for questions of a person at the keyboard.
    #[must_use]
    pub fn without_retries(mut self) -> Self {
        self.retry_for = Duration::ZERO;
        self
    }

    /// Reads each WHEN at the moment and in the zone of `now`; otherwise times are those of the appliance's clock.
    #[must_use]
    pub fn asked_at(mut self, now: Zoned) -> Self {
        self.asker = Some(Asker(now));
        self
    }

    /// Set by the first answer of any kind.
    pub(crate) fn is_met(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_met)
    }

    /// Address of the appliance.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Asks a `GET` route with an answer in JSON. `path` starts with `/v1/` and is percent-encoded.
    ///
    /// # Errors
    /// `Unreachable`, `NotPaired`, `Refused`; `Strange` for an answer that is longer than `size`.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str, size: AnswerSize) -> Result<T, ClientError> {
        let body = self.get_bytes(path, size)?;
        serde_json::from_slice(&body).map_err(|error| self.strange(&error))
    }

    /// As `get`, without decoding the answer.
    ///
    /// # Errors
    /// As `get`.
    pub(super) fn get_bytes(&self, path: &str, size: AnswerSize) -> Result<Vec<u8>, ClientError> {
        self.with_retries(|| self.read(self.get_once(path)?, size))
    }

    /// As `get`, before the body is read: for answers that are too long for the memory.
    ///
    /// # Errors
    /// As `get`.
    pub(super) fn get_answer(&self, path: &str) -> Result<Response<Body>, ClientError> {
        self.with_retries(|| self.get_once(path))
    }

    fn get_once(&self, path: &str) -> Result<Response<Body>, ClientError> {
        self.checked(self.agent.get(self.url(path)).call())
    }

    /// Makes a request of `ask`, which gets WHENs from `written`, and a part for the query with the reader's zone.
    ///
    /// # Errors
    /// Those of `ask`.
    pub(super) fn with_zone<T>(
        &self,
        ask: impl Fn(&str) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        match &self.asker {
            Some(asker) => asker.with_zone(ask),
            None => ask(""),
        }
    }

    /// A WHEN for the address of a request.
    pub(super) fn written(&self, when: &str) -> String {
        self.asker.as_ref().map_or_else(|| percent_encode(when), |asker| asker.written(when))
    }

    /// Tells a `POST` route something in JSON, with an answer of some facts in JSON.
    ///
    /// # Errors
    /// As `get`.
    pub(super) fn say<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T, ClientError> {
        let answer =
            self.with_retries(|| self.read(self.post(path, "application/json", body)?, AnswerSize::Facts))?;
        serde_json::from_slice(&answer).map_err(|error| self.strange(&error))
    }

    fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Result<Response<Body>, ClientError> {
        if let Some(limit) = &self.limit {
            limit.wait(body.len() as u64);
        }
        self.checked(self.request(path, content_type).send(body))
    }

    fn request(&self, path: &str, content_type: &str) -> RequestBuilder<WithBody> {
        self.agent.post(self.url(path)).header("content-type", content_type)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    fn with_retries<T>(&self, mut ask: impl FnMut() -> Result<T, ClientError>) -> Result<T, ClientError> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(PAUSE_MIN)
            .with_max_delay(PAUSE_MAX)
            .with_total_delay(Some(self.retry_for))
            .with_jitter();
        let pauses =
            if self.retry_for.is_zero() { pauses.with_max_times(0) } else { pauses.without_max_times() };
        let paused = Cell::new(Duration::ZERO);
        let asked = || {
            let answer = ask();
            if !matches!(answer, Err(ClientError::Unreachable { .. })) {
                self.is_met.store(true, Relaxed);
                self.is_outage_told.store(false, Relaxed);
            }
            answer
        };
        asked
            .retry(pauses)
            .when(|trouble| trouble.is_passing() && !self.is_first_contact_over(trouble, paused.get()))
            .notify(|trouble, pause| {
                paused.set(paused.get() + pause);
                self.tell_outage(trouble);
            })
            .call()
    }

    /// Whether a person should hear now that nobody answers.
    fn is_first_contact_over(&self, trouble: &ClientError, paused: Duration) -> bool {
        let ClientError::Unreachable { why, .. } = trouble else { return false };
        // A restarting box refuses for a moment; an unknown name stays unknown, and the other causes took their time.
        let may_pass_soon = matches!(why, NoAnswer::NothingListens | NoAnswer::BrokenOff);
        let is_first = self.is_awaited && !self.is_met.load(Relaxed);
        is_first && !(may_pass_soon && paused < FIRST_CONTACT_FOR)
    }

    fn tell_outage(&self, trouble: &ClientError) {
        let is_outage = matches!(trouble, ClientError::Unreachable { .. });
        let is_waited_out = !self.is_awaited || self.is_met.load(Relaxed);
        if let Some(tell) = &self.on_outage
            && is_outage
            && is_waited_out
            && !self.is_outage_told.swap(true, Relaxed)
        {
            tell(trouble, self.retry_for);
        }
    }

    fn checked(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>, ClientError> {
        let mut answer = answer.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = answer.body_mut().with_config().limit(64 * 1024).read_to_vec().unwrap_or_default();
        let problem = serde_json::from_slice::<Problem>(&body).unwrap_or_else(|_| stand_in(status.as_u16()));
        Err(match (status.as_u16(), problem.code.as_str()) {
            (401, _) => ClientError::NotPaired { lack: PairingLack::KnownKey, cause: problem.what },
            // A proxy on the way says that the box is not there.
            (502..=504, code) if code != "busy" => ClientError::Unreachable {
                address: self.address.clone(),
                why: NoAnswer::Between,
                cause: problem.what,
            },
            _ => ClientError::Refused(Box::new(problem)),
        })
    }

    pub(super) fn read(&self, mut answer: Response<Body>, size: AnswerSize) -> Result<Vec<u8>, ClientError> {
        read_answer(&mut answer, size).map_err(|error| match error {
            AnswerError::Cut(error) => self.unreachable(&error),
            AnswerError::TooLong(most) => ClientError::Strange {
                address: self.address.clone(),
                cause: format!("the answer did not end after {most} bytes"),
            },
        })
    }

    pub(super) fn unreachable(&self, error: &ureq::Error) -> ClientError {
        let (address, why) = (self.address.clone(), why_no_answer(error));
        ClientError::Unreachable { address, why, cause: error.to_string() }
    }

    /// An answer to another question: another program listens at the address, or a newer Larder.
    pub(super) fn strange(&self, error: &dyn std::error::Error) -> ClientError {
        ClientError::Strange { address: self.address.clone(), cause: error.to_string() }
    }
}

impl Remote for Connection {
    fn identity(&self) -> Result<Identity, ClientError> {
        let body = self.with_retries(|| {
            let request = self
                .agent
                .get(self.url("/v1/me"))
                .config()
                .timeout_recv_response(Some(FIRST_ANSWER_TIMEOUT))
                .build();
            self.read(self.checked(request.call())?, AnswerSize::Facts)
        })?;
        serde_json::from_slice(&body).map_err(|error| self.strange(&error))
    }

    fn start(&self, source: &str, start: &PushStart) -> Result<PushWelcome, ClientError> {
        let body = serde_json::to_vec(start).expect("plain values encode");
        self.say(&format!("/v1/sources/{}/start", source_path(source)?), &body)
    }

    fn missing(&self, names: &[ChunkId]) -> Result<Vec<ChunkId>, ClientError> {
        let asked = encode_ids(names);
        let body = self.with_retries(|| {
            self.read(self.post("/v1/chunks/missing", IDS_TYPE, &asked)?, AnswerSize::PerChunk)
        })?;
        decode_ids(&body).map_err(|error| self.strange(&error))
    }

    fn upload(&self, blocks: &[&[u8]]) -> Result<Received, ClientError> {
        let len: usize = blocks.iter().map(|part| part.len()).sum();
        let limit = self.limit.as_ref();
        // Slowed on purpose, a body may take longer than a body may otherwise.
        let slowed = limit.map_or(Duration::ZERO, |limit| UPLOADS_AT_ONCE * limit.rate.time_for(len as u64));
        let body = self.with_retries(|| {
            let mut reader = Paced { body: BackToBack { blocks, at: 0 }, limit };
            let request = self.request("/v1/chunks", BLOCKS_TYPE).header("content-length", len);
            let request = request.config().timeout_send_body(Some(SEND_TIMEOUT + slowed)).build();
            let answer = self.checked(request.send(SendBody::from_reader(&mut reader)))?;
            self.read(answer, AnswerSize::Facts)
        })?;
        serde_json::from_slice(&body).map_err(|error| self.strange(&error))
    }

    fn commit(&self, source: &str, commit: &Commit) -> Result<Receipt, ClientError> {
        let body = serde_json::to_vec(commit).expect("plain values encode");
        self.say(&format!("/v1/sources/{}/snapshots", source_path(source)?), &body)
    }
}

impl Past for Connection {
    fn fetch(
        &self,
        names: &[ChunkId],
        neighbours: Neighbours,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), ClientError> {
        let body = encode_ids(names);
        let path = match neighbours {
            Neighbours::Unwanted => "/v1/chunks/fetch",
            Neighbours::Welcome => "/v1/chunks/fetch?neighbours=welcome",
        };
        let mut answer = self.with_retries(|| self.post(path, IDS_TYPE, &body))?;
        let mut reader = answer.body_mut().as_reader();
        let mut block = Vec::new();
        // Each block holds a chunk that was asked for, so there are no more blocks than names.
        let mut blocks_left = names.len();
        loop {
            match read_block(&mut reader, &mut block) {
                Ok(true) if blocks_left == 0 => return Err(endless(&self.address)),
                Ok(true) => {
                    blocks_left -= 1;
                    each(&block);
                }
                Ok(false) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    let why = format!("{} gave a block that cannot be read: {error}", self.address);
                    return Err(ClientError::Damaged(why));
                }
                Err(error) => return Err(self.unreachable(&error.into())),
            }
        }
    }

    fn places(&self, names: &[ChunkId]) -> Result<Vec<u64>, ClientError> {
        let asked = encode_ids(names);
        let body = self.with_retries(|| {
            self.read(self.post("/v1/chunks/places", IDS_TYPE, &asked)?, AnswerSize::PerChunk)
        })?;
        decode_places(&body, names.len()).map_err(|error| self.strange(&error))
    }

    fn snapshot(&self, source: &str, when: &str) -> Result<SnapshotInfo, ClientError> {
        let (source, when) = (source_path(source)?, self.written(when));
        let path = format!("/v1/sources/{source}/snapshots/{when}");
        self.with_zone(|zone| self.get(&format!("{path}?{zone}"), AnswerSize::Facts))
    }
}
