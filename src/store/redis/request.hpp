// Commands on their way to a Redis server: encoded once, as RESP, when they are added. A plain
// value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mpr::redis {

// Whether a command may be executed twice without harm. Such a command is sent again by the client
// when a connection broke under it.
enum class Repeat : std::uint8_t { never, safe };

// When a request is answered.
enum class Durability : std::uint8_t {
  primary,     // the primary executed it
  replicated,  // and at least one replica has it (WAIT); else it fails as maybe executed
};

// A Lua script of one atomic operation; the text lives in scripts/*.lua and is embedded by CMake
// (see scripts.hpp). `sha1` is computed from the text.
struct Script {
  std::string_view name;  // of the file, for errors and logs
  std::string text;
  std::string sha1;  // 40 lower-case hex digits

  Script(std::string_view script_name, std::string_view script_text);
};

// Commands that go to the node of one key, one behind the other in one pipeline.
// If the cluster redirects one of them, it is followed, and then those of the later commands
// that are Repeat::safe are executed again, so that a read sees the writes before it.
// A request with MULTI is exactly one transaction, MULTI first and EXEC last: it is repeated as a
// whole or not at all.
class Request {
 public:
  // `routing_key`: any key of the slot that all commands belong to.
  explicit Request(std::string_view routing_key) : routing_key_(routing_key) {}

  Request& add(std::initializer_list<std::string_view> words, Repeat repeat = Repeat::never);
  Request& add(std::span<const std::string> words, Repeat repeat = Repeat::never);

  // One script: EVALSHA, and EVAL in its place when the server does not know it. The script
  // outlives the call.
  Request& eval(const Script& script, std::span<const std::string> keys,
                std::span<const std::string> arguments, Repeat repeat = Repeat::never);

  Request& durability(Durability durability) noexcept {
    durability_ = durability;
    return *this;
  }

  struct Command {
    std::size_t begin = 0;  // where its bytes begin in bytes()
    Repeat repeat = Repeat::never;
    const Script* script = nullptr;  // of an EVALSHA
  };

  const std::string& routing_key() const noexcept { return routing_key_; }
  const std::string& bytes() const noexcept { return bytes_; }
  const std::vector<Command>& commands() const noexcept { return commands_; }
  Durability durability() const noexcept { return durability_; }
  bool is_transaction() const noexcept { return transaction_; }

  // The bytes of one command.
  std::string_view bytes_of(std::size_t command) const noexcept;
  // The same for a script whose text goes with it: EVAL in place of EVALSHA.
  std::string with_text(std::size_t command) const;

 private:
  void begin_command(std::size_t words, Repeat repeat);
  void append_word(std::string_view word);

  std::string routing_key_;
  std::string bytes_;
  std::vector<Command> commands_;
  Durability durability_ = Durability::primary;
  bool transaction_ = false;
};

}  // namespace mpr::redis
