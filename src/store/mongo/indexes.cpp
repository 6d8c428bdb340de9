#include "store/mongo/indexes.hpp"

#include <algorithm>

namespace mpr::mongo {

namespace {

struct Index {
  Table table;
  const char* name;
  std::vector<const char*> fields;
  bool long_values = false;  // of recipients: DIDs have up to 2 KiB
};

const std::vector<Index>& all_indexes() {
  static const std::vector<Index> kIndexes = {
      {Table::messages, "mpr_queue", {"connectionId", "position", "createdAt", "_id"}},
      {Table::messages, "mpr_message", {"connectionId", "messageId"}},
      {Table::messages, "mpr_recipient", {"connectionId", "recipientKeys", "position"}, true},
      {Table::messages, "mpr_expiry", {"expiresAt"}},
      {Table::removed_ids, "mpr_forget", {"forgetAt"}},
      {Table::tails, "mpr_forget", {"forgetAt"}},
  };
  return kIndexes;
}

Document command_for(const Index& index) {
  Document key;
  for (const char* field : index.fields) key.small(field, 1);
  Document one;
  one.document("key", key).text("name", index.name);
  Array list;
  list.document(one);
  Document command;
  command.text("createIndexes", name_of(index.table)).array("indexes", list.done());
  return command;
}

Result<std::vector<std::string>> names_in(Database& database, Table table) {
  Document command;
  command.text("listIndexes", name_of(table));
  const auto answer = database.command(command);
  std::vector<std::string> names;
  if (!answer) {
    // A collection that does not exist yet has none.
    if (answer.error().code == Errc::invalid_argument) return names;
    return std::unexpected(answer.error());
  }
  bson_iter_t at;
  bson_iter_t batch;
  bson_iter_t each;
  if (!bson_iter_init(&at, answer->get()) ||
      !bson_iter_find_descendant(&at, "cursor.firstBatch", &batch) ||
      !bson_iter_recurse(&batch, &each)) {
    return fail(Errc::unavailable, "MongoDB: listIndexes was not answered with a list");
  }
  while (bson_iter_next(&each)) {
    bson_iter_t inner;
    if (bson_iter_recurse(&each, &inner) && bson_iter_find(&inner, "name") &&
        BSON_ITER_HOLDS_UTF8(&inner)) {
      names.emplace_back(bson_iter_utf8(&inner, nullptr));
    }
  }
  return names;
}

}  // namespace

Result<bool> is_ferretdb(Database& database) {
  Document command;
  command.small("buildInfo", 1);
  const auto answer = database.command(command);
  if (!answer) return std::unexpected(answer.error());
  return find(*answer->get(), "ferretdbVersion").has_value();
}

Result<std::vector<std::string>> create_indexes(Database& database) {
  const auto ferret = is_ferretdb(database);
  if (!ferret) return std::unexpected(ferret.error());
  std::vector<std::string> troubles;
  for (const Index& index : all_indexes()) {
    if (index.long_values && *ferret) continue;
    const auto created = database.command(command_for(index));
    if (created) continue;
    if (created.error().code == Errc::unavailable) return std::unexpected(created.error());
    troubles.push_back(std::string("index ") + index.name + " of " +
                       std::string(name_of(index.table)) + ": " + created.error().context);
  }
  return troubles;
}

Result<std::vector<std::string>> missing_indexes(Database& database) {
  const auto ferret = is_ferretdb(database);
  if (!ferret) return std::unexpected(ferret.error());
  std::vector<std::string> missing;
  for (const Table table : {Table::messages, Table::removed_ids, Table::tails}) {
    const auto names = names_in(database, table);
    if (!names) return std::unexpected(names.error());
    for (const Index& index : all_indexes()) {
      if (index.table != table || (index.long_values && *ferret)) continue;
      if (std::find(names->begin(), names->end(), index.name) == names->end()) {
        missing.push_back(std::string(name_of(table)) + "." + index.name);
      }
    }
  }
  return missing;
}

}  // namespace mpr::mongo
