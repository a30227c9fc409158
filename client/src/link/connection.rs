//! The appliance over HTTP: addresses, requests, retries, and problems turned into `ClientError`.
//!
//! A box at home is restarted, updated and unplugged. A request without an answer is repeated, with two minutes of
//! pauses, before a push gives up. A person who waits for the first answer is told within seconds instead: the
//! commonest cause is a wrong address. Every request may be repeated: uploads are asked for anew, commits carry a
//! number of their own. Not here: how long (`patience`) and where (`place`), how bytes travel (`transport`), questions of a
//! person (`questions`).

use super::{
    answer::{AnswerError, AnswerSize, endless, read_answer, stand_in, why_no_answer},
    asker::Asker,
    body::{BackToBack, read_block},
    limit::{ByteRate, Paced, RateLimit},
    path::{percent_encode, source_path},
    patience::RequestPatience,
    pinned::PinnedTls,
    place::AppliancePlace,
    transport::{SEND_TIMEOUT, agent_for},
};
use crate::{
    ClientError, NoAnswer, PairingLack, Past, Remote, platform::since_boot, settings::PairedAppliance,
};
use jiff::Zoned;
use larder_format::{
    ChunkId,
    wire::{
        BLOCKS_TYPE, Commit, IDS_TYPE, Identity, Neighbours, Problem, PushStart, PushWelcome, Receipt,
        Received, SnapshotInfo, decode_ids, decode_places, encode_ids,
    },
};
use larder_trust::PublicKey;
use serde::de::DeserializeOwned;
use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use ureq::{Agent, Body, RequestBuilder, SendBody, http::Response, typestate::WithBody};

/// The first question needs no disk. Without this limit, a program that takes connections and says nothing would keep
/// a person waiting for ten minutes.
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Senders of a push (`Threads` in push/mod.rs), which share a limit.
const UPLOADS_AT_ONCE: u32 = 4;

/// A paired appliance.
pub struct Connection {
    agent: Agent,
    key: Option<PublicKey>,
    place: AppliancePlace,
    patience: RequestPatience,
    asker: Option<Asker>,
    limit: Option<RateLimit>,
}

impl Connection {
    /// A connection to the appliance of a pairing. Sends nothing yet.
    pub fn new(pairing: &PairedAppliance) -> Self {
        let PairedAppliance { address, keys } = pairing;
        let connection = Self::over(PinnedTls::new(&keys.own, Some(keys.appliance)), address);
        Self { key: Some(keys.appliance), ..connection }
    }

    /// The appliance's key that this computer was paired with; none before a pairing.
    pub(crate) fn key(&self) -> Option<&PublicKey> {
        self.key.as_ref()
    }

    pub(super) fn over(tls: PinnedTls, address: &str) -> Self {
        Self {
            agent: agent_for(tls),
            key: None,
            place: AppliancePlace::new(address),
            patience: RequestPatience::new(),
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
        self.patience.is_awaited = true;
        self
    }

    /// Has `tell` called once in each outage that is waited out, with the failure and the time of waiting.
    #[must_use]
    pub fn telling_outages(mut self, tell: impl Fn(&ClientError, Duration) + Send + Sync + 'static) -> Self {
        self.patience.on_outage = Some(Box::new(tell));
        self
    }

    /// Has `search` called now and then while nobody answers at the address that it gets. It gives another address: one
    /// where the appliance proved its key, or one that may be right again.
    #[must_use]
    pub(crate) fn searched_by(
        mut self,
        search: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.place.searched_by(Box::new(search));
        self
    }

    /// Gives up at the first missing answer: for questions of a person at the keyboard.
    #[must_use]
    pub fn without_retries(mut self) -> Self {
        self.patience.retry_for = Duration::ZERO;
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
        Arc::clone(&self.patience.is_met)
    }

    /// Address of the appliance. It changes when the appliance moves.
    pub fn address(&self) -> String {
        self.place.address()
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

    /// Whether the appliance answers within `time`, and so proves its key.
    pub(super) fn answers_within(&self, time: Duration) -> bool {
        let request = self.agent.get(self.url("/v1/health")).config().timeout_global(Some(time)).build();
        self.checked(request.call()).is_ok()
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
        self.say_for(path, body, AnswerSize::Facts)
    }

    /// The same for an answer of another size.
    ///
    /// # Errors
    /// As `get`.
    pub(super) fn say_for<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &[u8],
        size: AnswerSize,
    ) -> Result<T, ClientError> {
        let answer = self.with_retries(|| self.read(self.post(path, "application/json", body)?, size))?;
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
        format!("{}{path}", self.address())
    }

    fn with_retries<T>(&self, mut ask: impl FnMut() -> Result<T, ClientError>) -> Result<T, ClientError> {
        self.patience.ask(|| self.place.ask(&mut ask))
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
                address: self.address(),
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
                address: self.address(),
                cause: format!("the answer did not end after {most} bytes"),
            },
        })
    }

    pub(super) fn unreachable(&self, error: &ureq::Error) -> ClientError {
        let (address, why) = (self.address(), why_no_answer(error));
        ClientError::Unreachable { address, why, cause: error.to_string() }
    }

    /// An answer to another question: another program listens at the address, or a newer Larder.
    pub(super) fn strange(&self, error: &dyn std::error::Error) -> ClientError {
        ClientError::Strange { address: self.address(), cause: error.to_string() }
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
                Ok(true) if blocks_left == 0 => return Err(endless(&self.address())),
                Ok(true) => {
                    blocks_left -= 1;
                    each(&block);
                }
                Ok(false) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    let why = format!("{} gave a block that cannot be read: {error}", self.address());
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
