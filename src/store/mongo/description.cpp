#include "store/mongo/description.hpp"

#include "store/mongo/database.hpp"
#include "store/mongo/indexes.hpp"

namespace mpr {

namespace {

using mongo::Database;
using mongo::Document;
using mongo::Pool;

Result<Document> ask(Database& database, std::string_view command, const char* where) {
  Document document;
  document.small(command, 1);
  return database.command(document, where);
}

// Calls visit with each document of an array member.
template <class Visit>
void each_document(const bson_t& document, const char* key, Visit visit) {
  const auto list = mongo::find(document, key);
  bson_iter_t each;
  if (!list || !bson_iter_recurse(&*list, &each)) return;
  while (bson_iter_next(&each)) {
    const std::uint8_t* bytes = nullptr;
    std::uint32_t size = 0;
    bson_t one;
    if (!BSON_ITER_HOLDS_DOCUMENT(&each)) continue;
    bson_iter_document(&each, &size, &bytes);
    if (bson_init_static(&one, bytes, size)) visit(one);
  }
}

// The set as the nodes see each other; that may be asked only with the right to do so. Else the
// addresses alone.
void describe_set(Database& database, const bson_t& hello, MongoDescription& out) {
  out.kind = MongoDescription::Kind::replica_set;
  out.set_name = mongo::read_any_text(hello, "setName").value_or("");
  out.primary = mongo::read_any_text(hello, "primary").value_or("");
  if (const auto status = ask(database, "replSetGetStatus", "admin")) {
    each_document(*status->get(), "members", [&](const bson_t& member) {
      out.nodes.push_back({mongo::read_any_text(member, "name").value_or(""),
                           mongo::read_any_text(member, "stateStr").value_or("")});
    });
  }
  if (!out.nodes.empty()) return;
  const auto hosts = mongo::find(hello, "hosts");
  bson_iter_t each;
  if (!hosts || !bson_iter_recurse(&*hosts, &each)) return;
  while (bson_iter_next(&each)) {
    out.nodes.push_back({mongo::any_text_at(each).value_or(""), ""});
  }
}

Result<bool> has_old_documents(Database& database) {
  bool found = false;
  Database::Query query;
  Document type;
  type.text("$type", "objectId");
  query.filter.document("_id", type);
  query.projection.small("_id", 1);
  query.limit = 1;
  const auto read = database.find(mongo::Table::messages, query, Deadline::never(),
                                  [&](const bson_t&) { return found = true; });
  if (!read) return std::unexpected(read.error());
  return found;
}

}  // namespace

std::string_view to_string(MongoDescription::Kind kind) {
  switch (kind) {
    case MongoDescription::Kind::standalone:
      return "a single server";
    case MongoDescription::Kind::replica_set:
      return "a replica set";
    case MongoDescription::Kind::sharded:
      return "a sharded cluster";
    case MongoDescription::Kind::ferretdb:
      return "FerretDB";
  }
  return "a single server";
}

std::string MongoDescription::sentence() const {
  std::string text = "MongoDB " + version + ", " + std::string(to_string(kind));
  if (kind == Kind::replica_set) {
    text += " \"" + set_name + "\" of " + std::to_string(nodes.size());
    text += primary.empty() ? ", without a primary at present" : ", primary " + primary;
    for (const Node& node : nodes) {
      if (!node.state.empty()) text += ", " + node.address + " is " + node.state;
    }
  }
  text += ", database " + database + (tls ? ", with TLS" : ", without TLS") +
          (authenticated ? ", with authentication" : ", without authentication");
  if (missing_indexes.empty()) {
    text += ", indexes complete";
  } else {
    text += ", indexes that a gateway will create:";
    for (const std::string& name : missing_indexes) text += " " + name;
  }
  if (has_old_documents) text += ", with messages of an earlier service";
  return text;
}

Result<MongoDescription> describe_mongodb(const MongoOptions& options) {
  const auto pool = Pool::open(options.uri, options.database, 1);
  if (!pool) return std::unexpected(pool.error());
  Database database(**pool);
  MongoDescription out;
  out.database = (*pool)->database();
  out.tls = (*pool)->uses_tls();
  out.authenticated = (*pool)->uses_authentication();
  const auto build = ask(database, "buildInfo", "admin");
  if (!build) return std::unexpected(build.error());
  out.version = mongo::read_any_text(*build->get(), "version").value_or("of unknown version");
  const auto hello = ask(database, "isMaster", "admin");
  if (!hello) return std::unexpected(hello.error());
  if (mongo::find(*build->get(), "ferretdbVersion")) out.kind = MongoDescription::Kind::ferretdb;
  if (mongo::find(*hello->get(), "setName")) {
    describe_set(database, *hello->get(), out);
  } else if (mongo::read_any_text(*hello->get(), "msg") == "isdbgrid") {
    out.kind = MongoDescription::Kind::sharded;
  }
  auto missing = mongo::missing_indexes(database);
  if (!missing) return std::unexpected(missing.error());
  out.missing_indexes = std::move(*missing);
  const auto old = has_old_documents(database);
  if (!old) return std::unexpected(old.error());
  out.has_old_documents = *old;
  return out;
}

}  // namespace mpr
