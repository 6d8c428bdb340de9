// What is at the other end of a MongoDB URI, for `mpr check` and the log at start. It asks with
// blocking calls on the calling thread, for seconds at most, and never shows the URI.
#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"
#include "store/mongo/options.hpp"

namespace mpr {

struct MongoDescription {
  enum class Kind { standalone, replica_set, sharded, ferretdb };
  struct Node {
    std::string address;
    std::string state;  // as the server names it: PRIMARY, SECONDARY, ...; empty: not known
  };

  std::string version;
  Kind kind = Kind::standalone;
  std::string database;
  std::string set_name;     // of a replica set
  std::string primary;      // of a replica set; empty: there is none at present
  std::vector<Node> nodes;  // of a replica set
  bool tls = false;
  bool authenticated = false;
  std::vector<std::string> missing_indexes;  // they are created when a gateway starts
  bool has_old_documents = false;            // of the service that used the collection before

  // One sentence without secrets.
  std::string sentence() const;
};

std::string_view to_string(MongoDescription::Kind kind);

// Fails with what is wrong: a URI that cannot be used, no server, no right to read.
Result<MongoDescription> describe_mongodb(const MongoOptions& options);

}  // namespace mpr
