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

// A Lua script of one atomic operation; the text lives in scripts/*.lua and is embedded by CMake.
// `sha1` is computed from the text.
struct Script {
  std::string_view name;  // of the file, for errors and logs
  std::string text;
  std::string sha1;  // 40 lower-case hex digits

  Script(std::string_view script_name, std::string_view script_text);
};

// Commands that go to the node of one key, one behind the other in one pipeline.
// If the cluster redirects one of them, it is followed, and then those of the later commands
// that are Repeat::safe are executed again, so that a read sees the writes before it.
class Request {
 public:
  // `routing_key`: any key of the slot that all commands belong to.
  explicit Request(std::string_view routing_key) : routing_key_(routing_key) {}

  Request& add(std::initializer_list<std::string_view> words, Repeat repeat = Repeat::never);
  Request& add(std::span<const std::string> words, Repeat repeat = Repeat::never);

  Request& durability(Durability durability) noexcept {
    durability_ = durability;
    return *this;
  }

  struct Command {
    std::size_t begin = 0;  // where its bytes begin in bytes()
    Repeat repeat = Repeat::never;
  };

  const std::string& routing_key() const noexcept { return routing_key_; }
  const std::string& bytes() const noexcept { return bytes_; }
  const std::vector<Command>& commands() const noexcept { return commands_; }
  Durability durability() const noexcept { return durability_; }

 private:
  std::string routing_key_;
  std::string bytes_;
  std::vector<Command> commands_;
  Durability durability_ = Durability::primary;
};

}  // namespace mpr::redis
