#include "app/options.hpp"

#include <algorithm>
#include <array>
#include <type_traits>
#include <vector>

#include "app/shown_urls.hpp"

namespace mpr {

namespace {

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;
constexpr std::uint64_t kGiB = 1024 * kMiB;
constexpr std::uint64_t kSecond = 1000;
constexpr std::uint64_t kDay = 24 * 3600 * kSecond;

// Writes a checked value into the member it belongs to.
template <auto Member>
void set(Settings& settings, const OptionValue& value) {
  auto& member = settings.*Member;
  using T = std::remove_reference_t<decltype(member)>;
  if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::filesystem::path>) {
    member = value.text;
  } else if constexpr (std::is_same_v<T, Secret>) {
    member = Secret(value.text);
  } else if constexpr (std::is_same_v<T, std::chrono::milliseconds>) {
    member = std::chrono::milliseconds(value.number);
  } else {
    member = static_cast<T>(value.number);
  }
}

using enum OptionGroup;
using enum OptionKind;
using S = Settings;

constexpr auto kOptions = std::to_array<Option>({
    {.name = "WS_PORT",
     .group = network,
     .kind = port,
     .standard = "3100",
     .help = "Port of the WebSocket server that mediators connect to. 0 lets the system choose.",
     .assign = set<&S::ws_port>},
    {.name = "APP_PORT",
     .group = network,
     .kind = port,
     .standard = "3500",
     .help = "Port of the HTTP server with /healthz, /readyz, /metrics and the status page. 0 lets "
             "the system choose.",
     .assign = set<&S::app_port>},
    {.name = "MPR_BIND",
     .group = network,
     .kind = address,
     .standard = "127.0.0.1",
     .help = "Address that both servers listen on. Anything but loopback should come with "
             "MPR_AUTH_TOKEN: the start warns otherwise.",
     .assign = set<&S::bind>},
    {.name = "MPR_AUTH_TOKEN",
     .group = network,
     .kind = secret,
     .standard = "",
     .help =
         "Token that clients have to present, with rpc.login or as a Bearer token. Without one, "
         "everybody who reaches the port may call. Other users of the machine can see flags: "
         "prefer MPR_AUTH_TOKEN_FILE or the environment.",
     .assign = set<&S::auth_token>},
    {.name = "MPR_AUTH_TOKEN_FILE",
     .group = network,
     .kind = path,
     .standard = "",
     .help = "File that holds the token, instead of MPR_AUTH_TOKEN. White space around it is cut.",
     .assign = set<&S::auth_token_file>},
    {.name = "MPR_IO_THREADS",
     .group = network,
     .kind = count,
     .standard = "0",
     .least = 0,
     .most = 256,
     .help = "Threads that serve sockets. 0: one per processor, 8 at most.",
     .assign = set<&S::io_threads>},
    {.name = "MPR_PORTS_FILE",
     .group = network,
     .kind = path,
     .standard = "",
     .help = "File that receives the actual ports as JSON, {\"ws\":3100,\"app\":3500}, once both "
             "servers listen. For scripts that start with port 0.",
     .assign = set<&S::ports_file>},

    {.name = "MPR_BACKEND",
     .group = storage,
     .kind = choice,
     .standard = "auto",
     .choices = "auto|embedded|memory|redis",
     .help = "Where messages are kept. embedded: durably, in MPR_DATA_DIR; an answered message is "
             "on disk. memory: until the process ends, for tests and demonstrations. redis: in "
             "Redis, and in MongoDB what stays long; for any number of gateways. auto: redis if "
             "REDIS_URL, REDIS_TYPE, REDIS_NODES or MONGODB_URI is set, else embedded.",
     .assign = set<&S::backend>},
    {.name = "MPR_DATA_DIR",
     .group = storage,
     .kind = path,
     .standard = "./mpr-data",
     .help = "Directory of the embedded store; made if it does not exist. One process at a time.",
     .assign = set<&S::data_dir>},
    {.name = "MPR_SEGMENT_BYTES",
     .group = storage,
     .kind = bytes,
     .standard = "32MiB",
     .least = 1 * kMiB,
     .most = 1 * kGiB,
     .help = "Size of one file of the embedded store's log. It has to hold the largest message; "
             "three files are allocated even when the store is empty.",
     .assign = set<&S::segment_bytes>},
    {.name = "MPR_MAX_QUEUE_MESSAGES",
     .group = storage,
     .kind = count,
     .standard = "1000000",
     .least = 1,
     .most = 1'000'000'000,
     .help = "Pending messages of one connection; beyond it an add is refused (507).",
     .assign = set<&S::max_queue_messages>},
    {.name = "MPR_MAX_QUEUE_BYTES",
     .group = storage,
     .kind = bytes,
     .standard = "4GiB",
     .least = 1 * kMiB,
     .most = 1'000'000 * kGiB,
     .help = "Pending payload bytes of one connection; beyond it an add is refused (507).",
     .assign = set<&S::max_queue_bytes>},
    {.name = "MPR_MAX_STORE_BYTES",
     .group = storage,
     .kind = bytes,
     .standard = "0",
     .least = 0,
     .most = 1'000'000 * kGiB,
     .help = "Pending payload bytes of all connections together; beyond it adds are refused (507). "
             "0: the disk, or the memory, is the bound. With Redis it counts only with "
             "MPR_DURABILITY=durable; else Redis' maxmemory is the bound.",
     .assign = set<&S::max_store_bytes>},
    {.name = "MPR_IDEMPOTENCY_WINDOW_MS",
     .group = storage,
     .kind = milliseconds,
     .standard = "600000",
     .least = 0,
     .most = 7 * kDay,
     .help =
         "How long a message id that a caller chose is remembered after its message is gone, so "
         "that a repeated add stores nothing.",
     .assign = set<&S::idempotency_window>},
    {.name = "MPR_REMEMBERED_IDS",
     .group = storage,
     .kind = count,
     .standard = "100000",
     .least = 0,
     .most = 100'000'000,
     .help =
         "Most message ids remembered in that window; the oldest are forgotten first. 0: none in "
         "the embedded and the memory store, no bound in MongoDB. Redis remembers all of the "
         "window.",
     .assign = set<&S::remembered_ids>},
    {.name = "THRESHOLD_TIMESTAMP",
     .group = storage,
     .kind = milliseconds,
     .standard = "60000",
     .least = 1,
     .most = 30 * kDay,
     .help = "Age at which messages move from Redis to MongoDB. The embedded and the memory store "
             "have one tier: without effect there.",
     .assign = set<&S::threshold_timestamp>},

    {.name = "REDIS_URL",
     .group = backends,
     .kind = secret,
     .standard = "",
     .help = "The Redis server, redis://user:password@host:6379/0, or rediss:// for TLS. With "
             "REDIS_TYPE=cluster: a node of it, and the user, password and TLS of all.",
     .assign = set<&S::redis_url>,
     .shown = shown_url},
    {.name = "REDIS_TYPE",
     .group = backends,
     .kind = choice,
     .standard = "auto",
     .choices = "auto|single|cluster",
     .help = "single: the one server of REDIS_URL. cluster: a Redis Cluster. auto: cluster if "
             "REDIS_NODES is set, else single.",
     .assign = set<&S::redis_type>},
    {.name = "REDIS_NODES",
     .group = backends,
     .kind = secret,
     .standard = "",
     .help = "Some nodes of the cluster, host:port,host:port; the others are learnt from them.",
     .assign = set<&S::redis_nodes>,
     .shown = shown_nodes},
    {.name = "REDIS_NATMAP",
     .group = backends,
     .kind = text,
     .standard = "",
     .help = "Where announced nodes are to be reached, if not at their address: "
             "announced:port=host:port,... or the same as a JSON object.",
     .assign = set<&S::redis_nat_map>},
    {.name = "MPR_REDIS_CA_FILE",
     .group = backends,
     .kind = path,
     .standard = "",
     .help = "Certificates (PEM) that a TLS connection to Redis is checked against. Empty: those "
             "of the system.",
     .assign = set<&S::redis_ca_file>},
    {.name = "MPR_REDIS_PREFIX",
     .group = backends,
     .kind = text,
     .standard = "mpr",
     .help = "Beginning of every key and channel name, for several installations on one Redis.",
     .assign = set<&S::redis_prefix>},
    {.name = "MPR_REDIS_PARTITIONS",
     .group = backends,
     .kind = count,
     .standard = "1024",
     .least = 1,
     .most = 16'384,
     .help = "Parts into which connections are divided; a part moves between nodes as a unit. "
             "Fixed by the first start on a Redis.",
     .assign = set<&S::redis_partitions>},
    {.name = "MONGODB_URI",
     .group = backends,
     .kind = secret,
     .standard = "",
     .help = "The database for messages that stay long, mongodb://user:password@host/database with "
             "the options of the MongoDB drivers (replicaSet, tls, ...). Empty: everything stays "
             "in Redis.",
     .assign = set<&S::mongodb_uri>,
     .shown = shown_url},
    {.name = "MPR_MONGODB_DATABASE",
     .group = backends,
     .kind = text,
     .standard = "",
     .help =
         "Name of the database. Empty: the one in MONGODB_URI, or else test, as the drivers do.",
     .assign = set<&S::mongodb_database>},
    {.name = "MPR_MONGODB_THREADS",
     .group = backends,
     .kind = count,
     .standard = "4",
     .least = 1,
     .most = 64,
     .help = "Threads, with a connection each, that talk to MongoDB.",
     .assign = set<&S::mongodb_threads>},
    {.name = "MPR_DURABILITY",
     .group = backends,
     .kind = choice,
     .standard = "fast",
     .choices = "fast|replicated|durable",
     .help = "When an add is answered. fast: Redis has the message. replicated: and one of its "
             "replicas. durable: MongoDB has it, with majority; messages do not pass through Redis "
             "then. Only durable loses nothing when a Redis primary is lost.",
     .assign = set<&S::durability>},
    {.name = "MPR_ARCHIVE_BATCH",
     .group = backends,
     .kind = count,
     .standard = "500",
     .least = 1,
     .most = 10'000,
     .help = "Messages that move to MongoDB in one step.",
     .assign = set<&S::archive_batch>},
    {.name = "MPR_PATROL_INTERVAL_MS",
     .group = backends,
     .kind = milliseconds,
     .standard = "3600000",
     .least = 0,
     .most = 30 * kDay,
     .help =
         "How often one of the gateways walks slowly over all keys of Redis, for queues that an "
         "interrupted add left without a mark for the archiver. 0: never.",
     .assign = set<&S::patrol_interval>},

    {.name = "MPR_ACK_DEADLINE_MS",
     .group = live_delivery,
     .kind = milliseconds,
     .standard = "15000",
     .least = 100,
     .most = 1 * kDay,
     .help =
         "A message delivered to a live session and not acknowledged for so long is counted and "
         "returned again.",
     .assign = set<&S::ack_deadline>},
    {.name = "MPR_ORPHAN_GRACE_MS",
     .group = live_delivery,
     .kind = milliseconds,
     .standard = "10000",
     .least = 0,
     .most = 600 * kSecond,
     .help =
         "How long a live session whose socket vanished waits for the same mediator to come back.",
     .assign = set<&S::orphan_grace>},
    {.name = "MPR_MAX_IN_FLIGHT",
     .group = live_delivery,
     .kind = count,
     .standard = "1000",
     .least = 1,
     .most = 1'000'000,
     .help = "Messages delivered to one live session and not acknowledged; more stay pending until "
             "it catches up.",
     .assign = set<&S::max_in_flight>},

    {.name = "FIREBASE_CFG_FILE",
     .group = push,
     .kind = text,
     .standard = "",
     .help = "Service-account file of the Firebase project whose apps are woken through FCM. "
             "Several, with commas between them: a token names its project, or belongs to the "
             "first.",
     .assign = set<&S::firebase_cfg_file>},
    {.name = "APNS_CFG_FILE",
     .group = push,
     .kind = path,
     .standard = "",
     .help = "JSON file {keyId, teamId, production} of the Apple Push Notification service. It "
             "needs APNS_PATH_KEY and APNS_TOPIC as well.",
     .assign = set<&S::apns_cfg_file>},
    {.name = "APNS_PATH_KEY",
     .group = push,
     .kind = path,
     .standard = "",
     .help = "The .p8 file with the key that Apple knows by keyId.",
     .assign = set<&S::apns_path_key>},
    {.name = "APNS_TOPIC",
     .group = push,
     .kind = text,
     .standard = "",
     .help = "Bundle id of the app that is woken through APNs.",
     .assign = set<&S::apns_topic>},
    {.name = "MPR_WEBHOOK_URL",
     .group = push,
     .kind = secret,
     .standard = "",
     .help = "URL that is told, by a POST, of phones to be woken whose token type is webhook, or "
             "is one that is not configured here.",
     .assign = set<&S::webhook_url>},
    {.name = "MPR_WEBHOOK_SECRET",
     .group = push,
     .kind = secret,
     .standard = "",
     .help = "Key of the HMAC-SHA-256 in the x-mpr-signature header of those POSTs. Without one "
             "they are not signed.",
     .assign = set<&S::webhook_secret>},
    {.name = "NOTIFICATION_DATA_ONLY",
     .group = push,
     .kind = choice,
     .standard = "false",
     .choices = "false|true",
     .help = "true: notifications show nothing by themselves, they wake the app in the "
             "background. iOS delivers those when it sees fit.",
     .assign = set<&S::notification_data_only>},
    {.name = "MPR_PUSH_TITLE",
     .group = push,
     .kind = text,
     .standard = "New message",
     .help = "Title that notifications show.",
     .assign = set<&S::push_title>},
    {.name = "MPR_PUSH_BODY",
     .group = push,
     .kind = text,
     .standard = "Open the app to receive it",
     .help = "Text that notifications show below the title.",
     .assign = set<&S::push_body>},
    {.name = "MPR_PUSH_WINDOW_MS",
     .group = push,
     .kind = milliseconds,
     .standard = "5000",
     .least = 500,
     .most = 600 * kSecond,
     .help = "After a notification the same token gets the next one so much later, and only if "
             "something still waits then. All gateways share these windows.",
     .assign = set<&S::push_window>},
    {.name = "MPR_PUSH_QUEUE",
     .group = push,
     .kind = count,
     .standard = "100000",
     .least = 1,
     .most = 10'000'000,
     .help = "Tokens with a notification due, planned or under way; more are dropped and counted.",
     .assign = set<&S::push_queue>},
    {.name = "MPR_PUSH_IN_FLIGHT",
     .group = push,
     .kind = count,
     .standard = "400",
     .least = 1,
     .most = 10'000,
     .help = "Requests under way to one provider.",
     .assign = set<&S::push_in_flight>},
    {.name = "MPR_PUSH_CONNECTIONS",
     .group = push,
     .kind = count,
     .standard = "4",
     .least = 1,
     .most = 64,
     .help = "Connections to one provider; each carries many requests at once.",
     .assign = set<&S::push_connections>},
    {.name = "MPR_PUSH_TIMEOUT_MS",
     .group = push,
     .kind = milliseconds,
     .standard = "10000",
     .least = 100,
     .most = 120 * kSecond,
     .help = "Time a provider has to answer one request.",
     .assign = set<&S::push_timeout>},
    {.name = "MPR_PUSH_MAX_AGE_MS",
     .group = push,
     .kind = milliseconds,
     .standard = "600000",
     .least = 0,
     .most = 1 * kDay,
     .help = "A notification that a provider did not take is tried again for so long.",
     .assign = set<&S::push_max_age>},
    {.name = "MPR_FCM_URL",
     .group = push,
     .kind = text,
     .standard = "https://fcm.googleapis.com",
     .help = "Where FCM is, for proxies and tests. Access tokens come from the token_uri of the "
             "service account.",
     .assign = set<&S::fcm_url>},
    {.name = "MPR_APNS_URL",
     .group = push,
     .kind = text,
     .standard = "",
     .help = "Where APNs is, for proxies and tests. Without it: Apple's production or sandbox "
             "servers, as APNS_CFG_FILE says.",
     .assign = set<&S::apns_url>},
    {.name = "MPR_PUSH_CA_FILE",
     .group = push,
     .kind = path,
     .standard = "",
     .help = "PEM file of the authorities that vouch for push providers, instead of the system's.",
     .assign = set<&S::push_ca_file>},

    {.name = "MPR_MAX_CONNECTIONS",
     .group = limits,
     .kind = count,
     .standard = "0",
     .least = 0,
     .most = 10'000'000,
     .help = "Open WebSocket connections; beyond it a handshake is answered with 503. Each needs a "
             "file descriptor. 0: as many as the process may open files, less a reserve, and a "
             "million at most.",
     .assign = set<&S::max_connections>},
    {.name = "MPR_MAX_FRAME_BYTES",
     .group = limits,
     .kind = bytes,
     .standard = "32MiB",
     .least = 64 * kKiB,
     .most = 1 * kGiB,
     .help = "Largest WebSocket message taken; a larger one closes its connection (1009).",
     .assign = set<&S::max_frame_bytes>},
    {.name = "MPR_MAX_MESSAGE_BYTES",
     .group = limits,
     .kind = bytes,
     .standard = "16MiB",
     .least = 1 * kKiB,
     .most = 512 * kMiB,
     .help = "Largest payload of one message; a larger one is refused (413).",
     .assign = set<&S::max_message_bytes>},
    {.name = "MPR_MAX_RESPONSE_BYTES",
     .group = limits,
     .kind = bytes,
     .standard = "8MiB",
     .least = 64 * kKiB,
     .most = 1 * kGiB,
     .help = "Payload bytes that one takeFromQueue returns, except that the first message always "
             "fits.",
     .assign = set<&S::max_response_bytes>},
    {.name = "MPR_OUTBOUND_BYTES",
     .group = limits,
     .kind = bytes,
     .standard = "8MiB",
     .least = 64 * kKiB,
     .most = 1 * kGiB,
     .help = "Bytes that may wait for one slow reader; then its live messages stay pending and its "
             "calls are not read.",
     .assign = set<&S::outbound_bytes>},
    {.name = "MPR_MAX_CALLS_IN_FLIGHT",
     .group = limits,
     .kind = count,
     .standard = "4096",
     .least = 1,
     .most = 1'000'000,
     .help = "Unanswered calls of one connection; beyond it reading pauses.",
     .assign = set<&S::max_calls_in_flight>},

    {.name = "MPR_CALL_TIMEOUT_MS",
     .group = times,
     .kind = milliseconds,
     .standard = "1800",
     .least = 50,
     .most = 1950,
     .help = "Every call is answered in this time, if only with an error (504). Clients give up "
             "after 2,000 ms.",
     .assign = set<&S::call_timeout>},
    {.name = "MPR_PING_INTERVAL_MS",
     .group = times,
     .kind = milliseconds,
     .standard = "10000",
     .least = 50,
     .most = 600 * kSecond,
     .help = "A connection that sent nothing for so long is pinged.",
     .assign = set<&S::ping_interval>},
    {.name = "MPR_DEAD_AFTER_MS",
     .group = times,
     .kind = milliseconds,
     .standard = "25000",
     .least = 100,
     .most = 1200 * kSecond,
     .help = "A connection that sent nothing for so long, not even an answer to pings, is closed.",
     .assign = set<&S::dead_after>},
    {.name = "MPR_HANDSHAKE_TIMEOUT_MS",
     .group = times,
     .kind = milliseconds,
     .standard = "5000",
     .least = 50,
     .most = 60 * kSecond,
     .help = "Time a new connection has to complete its WebSocket handshake.",
     .assign = set<&S::handshake_timeout>},
    {.name = "MPR_SLOW_READER_TIMEOUT_MS",
     .group = times,
     .kind = milliseconds,
     .standard = "30000",
     .least = 100,
     .most = 600 * kSecond,
     .help = "A connection whose outbound buffer stays over its bound for so long is closed.",
     .assign = set<&S::slow_reader_timeout>},
    {.name = "MPR_DRAIN_TIMEOUT_MS",
     .group = times,
     .kind = milliseconds,
     .standard = "3000",
     .least = 0,
     .most = 60 * kSecond,
     .help = "Time that calls in hand have to finish after SIGTERM. Today's clients stop "
             "reconnecting after some 4 s.",
     .assign = set<&S::drain_timeout>},

    {.name = "LOG_LEVEL",
     .group = logs,
     .kind = log_level,
     .standard = "info",
     .help = "Least severe lines written: debug, info, warn or error; also verbose (debug), log "
             "(info), fatal (error), or a number, the larger the more: 0 and 1 error, 2 warn, 3 "
             "info, 4 and 5 debug.",
     .assign = set<&S::log_level>},
    {.name = "MPR_LOG_FORMAT",
     .group = logs,
     .kind = choice,
     .standard = "text",
     .choices = "text|json",
     .help = "Form of log lines on standard error: text for people, or one JSON object a line.",
     .assign = set<&S::log_format>},
    {.name = "MPR_CONFIG_FILE",
     .group = logs,
     .kind = path,
     .standard = "",
     .help = "File of KEY=VALUE lines with the names of this table; # begins a comment. The "
             "environment and flags win over it.",
     .assign = set<&S::config_file>},
});

constexpr auto kForeignNames = std::to_array<std::string_view>({
    "FCM_SERVICE_BASE_URL",
});

// Number of single-letter edits between two texts (Levenshtein), by one row of the usual table.
std::size_t edits_between(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string_view to_string(Backend backend) {
  constexpr std::array<std::string_view, 4> kNames = {"auto", "embedded", "memory", "redis"};
  return kNames.at(static_cast<std::size_t>(backend));
}

std::string_view to_string(DurabilityMode mode) {
  constexpr std::array<std::string_view, 3> kNames = {"fast", "replicated", "durable"};
  return kNames.at(static_cast<std::size_t>(mode));
}

std::string_view title_of(OptionGroup group) {
  switch (group) {
    case network:
      return "Network";
    case storage:
      return "Storage";
    case backends:
      return "Redis and MongoDB";
    case live_delivery:
      return "Live delivery";
    case push:
      return "Push notifications";
    case limits:
      return "Limits of a connection";
    case times:
      return "Times";
    case logs:
      return "Logs and files";
  }
  return "";
}

std::span<const Option> options() { return kOptions; }

std::span<const std::string_view> foreign_names() { return kForeignNames; }

const Option* find_option(std::string_view name) {
  const auto found = std::ranges::find(kOptions, name, &Option::name);
  return found == kOptions.end() ? nullptr : &*found;
}

std::string flag_of(const Option& option) {
  std::string_view name = option.name;
  if (name.starts_with("MPR_")) name.remove_prefix(4);
  std::string flag = "--";
  for (const char c : name) {
    flag += c == '_' ? '-' : static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  return flag;
}

std::optional<std::string_view> nearest(std::string_view mistyped,
                                        std::span<const std::string_view> known) {
  std::optional<std::string_view> best;
  std::size_t least = std::max<std::size_t>(2, mistyped.size() / 3) + 1;
  for (const std::string_view name : known) {
    const std::size_t edits = edits_between(mistyped, name);
    if (edits < least) {
      least = edits;
      best = name;
    }
  }
  return best;
}

}  // namespace mpr
