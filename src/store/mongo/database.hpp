// The database as one thread sees it: blocking calls of the driver, one attempt each, failures as
// values. `unavailable` is what another attempt may heal (no primary, network, timeouts);
// `invalid_argument` is what the server refuses for good.
// A Pool is shared by all threads and outlives every Database; a Database belongs to one thread.
// Neither ever shows the password of the URI.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <mongoc/mongoc.h>

#include "base/error.hpp"
#include "base/task.hpp"
#include "store/mongo/bson.hpp"

namespace mpr::mongo {

enum class Table { messages, removed_ids, tails };
inline constexpr std::size_t kTables = 3;
std::string_view name_of(Table table);

class Pool {
 public:
  // Reads the URI and adds what it leaves open: timeouts, majority writes. Connects to nothing.
  // `database` overrules the URI's; at most `threads` Databases may exist at a time.
  static Result<std::unique_ptr<Pool>> open(const std::string& uri, const std::string& database,
                                            std::size_t threads);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  const std::string& database() const { return database_; }
  bool uses_tls() const;
  bool uses_authentication() const;
  bool is_direct() const { return direct_; }
  // The text without the URI's secrets.
  std::string without_secrets(std::string text) const;

 private:
  friend class Database;
  Pool() = default;

  mongoc_uri_t* uri_ = nullptr;
  mongoc_client_pool_t* pool_ = nullptr;
  std::string database_;
  std::vector<std::string> secrets_;
  bool direct_ = false;
};

enum class InsertOrder {
  strict,  // stops at the first document that is refused
  any,
};

struct Refusal {
  std::size_t index = 0;
  bool duplicate = false;  // a unique index holds it already
  std::string reason;
};

class Database {
 public:
  explicit Database(Pool& pool);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  struct Query {
    Document filter;
    Document sort;
    Document projection;     // empty: whole documents
    std::int64_t limit = 0;  // 0: all
  };
  // Calls visit for each document until it says false.
  using Visit = std::function<bool(const bson_t&)>;
  Result<void> find(Table table, const Query& query, Deadline deadline, const Visit& visit);

  Result<std::uint64_t> count(Table table, const Document& filter, Deadline deadline);

  // Those that are not inserted, ascending; with InsertOrder::strict one at most, and nothing
  // behind it is inserted. A failure leaves open which are.
  Result<std::vector<Refusal>> insert(Table table, std::span<const Document* const> documents,
                                      InsertOrder order);

  Result<std::uint64_t> remove_many(Table table, const Document& filter);
  Result<std::uint64_t> remove_one(Table table, const Document& filter);
  // Yields how many documents matched.
  Result<std::uint64_t> update_many(Table table, const Document& filter, const Document& update);
  // Changes the documents with these keys, which are made if they are not there.
  struct Change {
    Document key;
    Document update;
  };
  Result<void> upsert(Table table, std::span<const Change> changes);

  // A command to the database (or to `admin`).
  Result<Document> command(const Document& command, const char* database = nullptr);

 private:
  using DeleteCall = bool (*)(mongoc_collection_t*, const bson_t*, const bson_t*, bson_t*,
                              bson_error_t*);
  bool try_upsert(Table table, std::span<const Change> changes, bson_error_t& error);
  Result<std::uint64_t> remove(DeleteCall call, Table table, const Document& filter);
  mongoc_collection_t* collection(Table table) { return collections_[static_cast<int>(table)]; }
  std::unexpected<Error> failure(const bson_error_t& error) const;
  Result<std::vector<Refusal>> refusals(const bson_t& reply, std::size_t documents,
                                        InsertOrder order, const bson_error_t& error) const;

  Pool& pool_;
  mongoc_client_t* client_;
  mongoc_collection_t* collections_[kTables];
};

// Whether a server's error says that another attempt may succeed.
bool is_transient(std::uint32_t code);

}  // namespace mpr::mongo
