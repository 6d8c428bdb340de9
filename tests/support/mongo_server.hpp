// A server that speaks MongoDB's protocol, for tests: MPR_TEST_MONGODB_URI, or mongod, or FerretDB
// over PostgreSQL (tests/support/mongodb). One per test binary, started when it is first asked for
// and killed when the binary ends, however it ends. Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace mpr::test {

// A child that answers every line it is told with one line.
class ObedientChild {
 public:
  ObedientChild(const std::string& program, const std::vector<std::string>& arguments);
  ~ObedientChild();  // closes its input and waits for its end
  ObedientChild(const ObedientChild&) = delete;
  ObedientChild& operator=(const ObedientChild&) = delete;

  // The next line of its output; empty at its end.
  std::string read_line();
  // What it answers after `done`; throws if it answers anything else.
  std::string tell(std::string_view command);

 private:
  int pid_ = -1;
  int input_ = -1;
  int output_ = -1;
  std::string buffer_;
};

class MongoServer {
 public:
  // Throws, with one line that says what is missing, if no server can be started.
  static MongoServer& instance();

  // Connects to a database that no other test uses.
  std::string fresh_uri();
  std::string fresh_tls_uri();  // empty: the server has no TLS listener
  const std::string& uri() const { return uri_; }
  const std::string& kind() const { return kind_; }
  bool is_ferretdb() const { return kind_.starts_with("FerretDB"); }
  bool can_be_killed() const { return child_ != nullptr; }

  void kill9();
  void start_again();  // same address, same data
  void pause();
  void resume();

 private:
  MongoServer();

  std::unique_ptr<ObedientChild> child_;
  std::string uri_;
  std::string tls_uri_;
  std::string kind_;
};

// Looks like a replica set of three; behind it is the one server. See mongodb/proxy.go for what it
// can be told.
class MongoProxy {
 public:
  MongoProxy();

  std::string fresh_uri();
  std::string tell(std::string_view command) { return child_->tell(command); }

 private:
  std::unique_ptr<ObedientChild> child_;
  std::string uri_;
};

// The URI with this database in its path.
std::string with_database(const std::string& uri, const std::string& database);

}  // namespace mpr::test
