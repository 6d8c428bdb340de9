#include "store/mongo/database.hpp"

#include <algorithm>
#include <array>
#include <mutex>

#include "base/log.hpp"

namespace mpr::mongo {

namespace {

constexpr int kDuplicateKey = 11000;
constexpr std::uint32_t kMaxTimeExpired = 50;

// What the URI leaves open. The driver's own figures (30 s, 10 s, 5 min) would hold a thread for
// much longer than anybody waits for an answer.
constexpr int kServerSelectionMs = 2000;
constexpr int kConnectMs = 2000;
constexpr int kSocketMs = 5000;
constexpr int kMajorityMs = 4000;
constexpr int kHeartbeatMs = 2000;

// The driver's complaints about a URI may quote it.
thread_local bool reading_uri = false;

void log_line(mongoc_log_level_t level, const char* domain, const char* message, void*) {
  if (reading_uri) return;
  const std::string_view text = message ? message : "";
  const std::string_view part = domain ? domain : "";
  switch (level) {
    case MONGOC_LOG_LEVEL_ERROR:
    case MONGOC_LOG_LEVEL_CRITICAL:
      return log::warn("the MongoDB driver reports an error", {{"part", part}, {"text", text}});
    case MONGOC_LOG_LEVEL_WARNING:
    case MONGOC_LOG_LEVEL_MESSAGE:
      return log::debug("the MongoDB driver reports", {{"part", part}, {"text", text}});
    default:
      return;  // lower levels may show documents
  }
}

void start_driver() {
  static std::once_flag once;
  std::call_once(once, [] {
    mongoc_log_set_handler(log_line, nullptr);  // first: mongoc_init() may have to say something
    mongoc_init();
  });
}

std::unexpected<Error> bad_uri(const std::string& reason) {
  return fail(Errc::invalid_argument, "the MongoDB URI cannot be used: " + reason);
}

void default_option(mongoc_uri_t* uri, const char* name, int value) {
  if (!mongoc_uri_has_option(uri, name)) mongoc_uri_set_option_as_int32(uri, name, value);
}

// What a secondary answers may be old: a message would be missed, or come once more.
void read_from_primary(mongoc_uri_t* uri) {
  if (mongoc_read_prefs_get_mode(mongoc_uri_get_read_prefs_t(uri)) == MONGOC_READ_PRIMARY) return;
  log::warn("the read preference in the MongoDB URI is not used: every read asks the primary");
  mongoc_read_prefs_t* const primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
  mongoc_uri_set_read_prefs_t(uri, primary);
  mongoc_read_prefs_destroy(primary);
}

struct Reply {
  bson_t bson;
  Reply() { bson_init(&bson); }
  ~Reply() { bson_destroy(&bson); }
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;
};

std::int64_t remaining_ms(Deadline deadline) {
  if (deadline.at == std::chrono::steady_clock::time_point::max()) return 0;
  const auto left = deadline.at - std::chrono::steady_clock::now();
  return std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::milliseconds>(left).count());
}

bool has_elements(const bson_t& reply, const char* key) {
  const auto at = find(reply, key);
  bson_iter_t inner;
  return at && BSON_ITER_HOLDS_ARRAY(&*at) && bson_iter_recurse(&*at, &inner) &&
         bson_iter_next(&inner);
}

// A database that had not enough time for one question can be used all the same.
std::unexpected<Error> of_question(std::unexpected<Error> failure, const bson_error_t& error) {
  if (error.domain == MONGOC_ERROR_SERVER && error.code == kMaxTimeExpired) {
    failure.error().code = Errc::deadline_exceeded;
  }
  return failure;
}

}  // namespace

std::string_view name_of(Table table) {
  switch (table) {
    case Table::messages:
      return "storequeuedmessages";
    case Table::removed_ids:
      return "mprremovedids";
    case Table::tails:
      return "mprqueuetails";
  }
  return "";
}

bool is_transient(std::uint32_t code) {
  // HostUnreachable, HostNotFound, CursorNotFound, MaxTimeMSExpired, WriteConcernFailed,
  // NetworkTimeout, ShutdownInProgress, WriteConflict, FailedToSatisfyReadPreference,
  // QueryPlanKilled, PrimarySteppedDown, CursorKilled, ExceededTimeLimit,
  // TemporarilyUnavailable, SocketException, NotWritablePrimary, InterruptedAtShutdown,
  // Interrupted, InterruptedDueToReplStateChange, NotPrimaryNoSecondaryOk, NotPrimaryOrSecondary,
  // OutOfDiskSpace, and being too busy or not allowed in.
  constexpr std::array<std::uint32_t, 26> kCodes = {
      6,   7,    43,    50,    64,    89,    91,    112,   133,   175, 189, 237, 262,
      365, 9001, 10107, 11600, 11601, 11602, 13435, 13436, 14031, 202, 13,  18,  16500};
  return std::find(kCodes.begin(), kCodes.end(), code) != kCodes.end();
}

Result<std::unique_ptr<Pool>> Pool::open(const std::string& text, const std::string& database,
                                         std::size_t threads) {
  start_driver();
  std::unique_ptr<Pool> pool(new Pool());
  bson_error_t error{};
  reading_uri = true;
  pool->uri_ = mongoc_uri_new_with_error(text.c_str(), &error);
  reading_uri = false;
  // The driver's reason may quote any part of the URI.
  if (!pool->uri_) return bad_uri("it is malformed");
  mongoc_uri_t* const uri = pool->uri_;
  if (const char* secret = mongoc_uri_get_password(uri)) pool->secrets_.emplace_back(secret);
  if (!mongoc_uri_get_srv_hostname(uri) && !mongoc_uri_get_hosts(uri)) {
    return bad_uri("it names no server");
  }
  const char* const named = mongoc_uri_get_database(uri);
  pool->database_ = !database.empty() ? database : named && *named ? named : "test";
  pool->direct_ = mongoc_uri_get_option_as_bool(uri, MONGOC_URI_DIRECTCONNECTION, false);
  default_option(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, kServerSelectionMs);
  default_option(uri, MONGOC_URI_CONNECTTIMEOUTMS, kConnectMs);
  default_option(uri, MONGOC_URI_SOCKETTIMEOUTMS, kSocketMs);
  default_option(uri, MONGOC_URI_HEARTBEATFREQUENCYMS, kHeartbeatMs);
  if (!mongoc_uri_get_appname(uri)) mongoc_uri_set_appname(uri, "mpr");
  read_from_primary(uri);
  const mongoc_write_concern_t* const given = mongoc_uri_get_write_concern(uri);
  if (!mongoc_write_concern_is_acknowledged(given)) {
    return bad_uri("with w=0 nobody would know whether a message is stored");
  }
  if (mongoc_write_concern_get_w(given) == MONGOC_WRITE_CONCERN_W_DEFAULT) {
    mongoc_write_concern_t* const majority = mongoc_write_concern_copy(given);
    mongoc_write_concern_set_wmajority(majority, mongoc_write_concern_get_wtimeout(given) > 0
                                                     ? mongoc_write_concern_get_wtimeout(given)
                                                     : kMajorityMs);
    mongoc_uri_set_write_concern(uri, majority);
    mongoc_write_concern_destroy(majority);
  }
  pool->pool_ = mongoc_client_pool_new(uri);
  if (!pool->pool_) return bad_uri("the driver refuses it; does it use an option unknown to it?");
  mongoc_client_pool_set_error_api(pool->pool_, MONGOC_ERROR_API_VERSION_2);
  mongoc_client_pool_max_size(pool->pool_, static_cast<std::uint32_t>(threads));
  return pool;
}

Pool::~Pool() {
  if (pool_) mongoc_client_pool_destroy(pool_);
  if (uri_) mongoc_uri_destroy(uri_);
}

bool Pool::uses_tls() const { return mongoc_uri_get_tls(uri_); }

bool Pool::uses_authentication() const {
  return mongoc_uri_get_username(uri_) || mongoc_uri_get_auth_mechanism(uri_);
}

std::string Pool::without_secrets(std::string text) const {
  for (const std::string& secret : secrets_) {
    if (secret.empty()) continue;
    for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at + 3)) {
      text.replace(at, secret.size(), "***");
    }
  }
  return text;
}

Database::Database(Pool& pool) : pool_(pool), client_(mongoc_client_pool_pop(pool.pool_)) {
  for (const Table table : {Table::messages, Table::removed_ids, Table::tails}) {
    collections_[static_cast<int>(table)] = mongoc_client_get_collection(
        client_, pool.database_.c_str(), std::string(name_of(table)).c_str());
  }
}

Database::~Database() {
  for (mongoc_collection_t* collection : collections_) mongoc_collection_destroy(collection);
  mongoc_client_pool_push(pool_.pool_, client_);
}

std::unexpected<Error> Database::failure(const bson_error_t& error) const {
  const bool server = error.domain == MONGOC_ERROR_SERVER ||
                      error.domain == MONGOC_ERROR_COLLECTION ||
                      error.domain == MONGOC_ERROR_WRITE_CONCERN;
  const bool wrong_input =
      error.domain == MONGOC_ERROR_BSON || error.domain == MONGOC_ERROR_COMMAND;
  const bool transient =
      server ? is_transient(error.code) || error.domain == MONGOC_ERROR_WRITE_CONCERN
             : !wrong_input;
  return fail(transient ? Errc::unavailable : Errc::invalid_argument,
              "MongoDB: " + pool_.without_secrets(error.message));
}

Result<void> Database::find(Table table, const Query& query, Deadline deadline,
                            const Visit& visit) {
  Document options;
  if (!bson_empty(query.sort.get())) options.document("sort", query.sort);
  if (!bson_empty(query.projection.get())) options.document("projection", query.projection);
  if (query.limit > 0) options.integer("limit", query.limit);
  if (const auto left = remaining_ms(deadline)) options.integer("maxTimeMS", left);
  mongoc_cursor_t* const cursor = mongoc_collection_find_with_opts(
      collection(table), query.filter.get(), options.get(), nullptr);
  const bson_t* document = nullptr;
  bool late = false;
  while (!late && mongoc_cursor_next(cursor, &document)) {
    if (!visit(*document)) break;
    late = deadline.passed();  // maxTimeMS does not count what is between two portions
  }
  bson_error_t error{};
  const bool failed = mongoc_cursor_error(cursor, &error);
  mongoc_cursor_destroy(cursor);
  if (failed) return of_question(failure(error), error);
  if (late) return fail(Errc::deadline_exceeded, "MongoDB: the answer was too long for the time");
  return {};
}

Result<std::uint64_t> Database::count(Table table, const Document& filter, Deadline deadline) {
  Document command;
  command.text("count", name_of(table)).document("query", filter);
  if (const auto left = remaining_ms(deadline)) command.integer("maxTimeMS", left);
  Reply reply;
  bson_error_t error{};
  bson_destroy(&reply.bson);
  const bool done = mongoc_collection_read_command_with_opts(collection(table), command.get(),
                                                             nullptr, nullptr, &reply.bson, &error);
  if (!done) return of_question(failure(error), error);
  const auto counted = read_integer(reply.bson, "n");
  if (!counted) return fail(Errc::unavailable, "MongoDB: a count without a number");
  return static_cast<std::uint64_t>(*counted);
}

Result<std::vector<Refusal>> Database::insert(Table table,
                                              std::span<const Document* const> documents,
                                              InsertOrder order) {
  if (documents.empty()) return std::vector<Refusal>{};
  Document options;
  options.boolean("ordered", order == InsertOrder::strict);
  Document unchecked;  // they were made by us
  unchecked.boolean("validate", false);
  mongoc_bulk_operation_t* const bulk =
      mongoc_collection_create_bulk_operation_with_opts(collection(table), options.get());
  bson_error_t error{};
  bool staged = true;
  for (const Document* document : documents) {
    staged = staged &&
             mongoc_bulk_operation_insert_with_opts(bulk, document->get(), unchecked.get(), &error);
  }
  Reply reply;
  bool done = false;
  if (staged) {
    bson_destroy(&reply.bson);
    done = mongoc_bulk_operation_execute(bulk, &reply.bson, &error) != 0;
  }
  mongoc_bulk_operation_destroy(bulk);
  if (done) return std::vector<Refusal>{};
  if (!staged) return failure(error);
  return refusals(reply.bson, documents.size(), order, error);
}

// Sorts out a bulk that was not done as a whole.
Result<std::vector<Refusal>> Database::refusals(const bson_t& reply, std::size_t documents,
                                                InsertOrder order,
                                                const bson_error_t& error) const {
  if (has_elements(reply, "writeConcernErrors")) {
    return fail(Errc::unavailable, "MongoDB: the majority has not confirmed a write");
  }
  std::vector<Refusal> found;
  const auto errors = mongo::find(reply, "writeErrors");
  bson_iter_t each;
  if (!errors || !bson_iter_recurse(&*errors, &each)) return failure(error);
  while (bson_iter_next(&each)) {
    const std::uint8_t* bytes = nullptr;
    std::uint32_t size = 0;
    bson_t one;
    if (!BSON_ITER_HOLDS_DOCUMENT(&each)) continue;
    bson_iter_document(&each, &size, &bytes);
    if (!bson_init_static(&one, bytes, size)) continue;
    const auto code = read_integer(one, "code").value_or(0);
    const std::string reason = read_any_text(one, "errmsg").value_or("no reason given");
    if (is_transient(static_cast<std::uint32_t>(code))) {
      return fail(Errc::unavailable, "MongoDB: " + pool_.without_secrets(reason));
    }
    // A duplicate's message quotes keys of other messages; nobody needs it.
    found.push_back({static_cast<std::size_t>(read_integer(one, "index").value_or(0)),
                     code == kDuplicateKey, code == kDuplicateKey ? "" : reason});
  }
  std::sort(found.begin(), found.end(),
            [](const Refusal& a, const Refusal& b) { return a.index < b.index; });
  // Anything else than "these were refused, all others are in" is a failure of the whole.
  const auto inserted = static_cast<std::size_t>(read_integer(reply, "nInserted").value_or(0));
  const bool complete = order == InsertOrder::strict
                            ? found.size() == 1 && found.front().index == inserted
                            : found.size() + inserted == documents;
  if (found.empty() || !complete) return failure(error);
  return found;
}

Result<std::uint64_t> Database::remove(DeleteCall call, Table table, const Document& filter) {
  Reply reply;
  bson_error_t error{};
  bson_destroy(&reply.bson);
  if (!call(collection(table), filter.get(), nullptr, &reply.bson, &error)) return failure(error);
  return static_cast<std::uint64_t>(read_integer(reply.bson, "deletedCount").value_or(0));
}

Result<std::uint64_t> Database::remove_many(Table table, const Document& filter) {
  return remove(mongoc_collection_delete_many, table, filter);
}

Result<std::uint64_t> Database::remove_one(Table table, const Document& filter) {
  return remove(mongoc_collection_delete_one, table, filter);
}

Result<std::uint64_t> Database::update_many(Table table, const Document& filter,
                                            const Document& update) {
  Reply reply;
  bson_error_t error{};
  bson_destroy(&reply.bson);
  if (!mongoc_collection_update_many(collection(table), filter.get(), update.get(), nullptr,
                                     &reply.bson, &error)) {
    return failure(error);
  }
  return static_cast<std::uint64_t>(read_integer(reply.bson, "matchedCount").value_or(0));
}

Result<void> Database::upsert(Table table, std::span<const Change> changes) {
  // Two upserts that make the same document meet: one of them finds it taken, and then it is there.
  constexpr int kAttempts = 5;
  bson_error_t error{};
  for (int i = 0; i < kAttempts; ++i) {
    if (changes.empty() || try_upsert(table, changes, error)) return {};
    if (error.code != kDuplicateKey) break;
  }
  return failure(error);
}

bool Database::try_upsert(Table table, std::span<const Change> changes, bson_error_t& error) {
  Document options;
  options.boolean("ordered", false);
  Document upsert;
  upsert.boolean("upsert", true);
  mongoc_bulk_operation_t* const bulk =
      mongoc_collection_create_bulk_operation_with_opts(collection(table), options.get());
  bool good = true;
  for (const Change& change : changes) {
    good = good && mongoc_bulk_operation_update_one_with_opts(
                       bulk, change.key.get(), change.update.get(), upsert.get(), &error);
  }
  Reply reply;
  if (good) {
    bson_destroy(&reply.bson);
    good = mongoc_bulk_operation_execute(bulk, &reply.bson, &error) != 0;
  }
  mongoc_bulk_operation_destroy(bulk);
  return good;
}

Result<Document> Database::command(const Document& command, const char* database) {
  Reply reply;
  bson_error_t error{};
  bson_destroy(&reply.bson);
  const char* const where = database ? database : pool_.database_.c_str();
  if (!mongoc_client_command_simple(client_, where, command.get(), nullptr, &reply.bson, &error)) {
    return failure(error);
  }
  return Document(reply.bson);
}

}  // namespace mpr::mongo
