// What an error answer of a Redis server asks of the client, without I/O.
#pragma once

#include <cstdint>
#include <string_view>

#include "store/redis/server_address.hpp"

namespace mpr::redis {

struct Redirect {
  enum class Kind : std::uint8_t {
    none,       // an answer for the caller
    moved,      // the slot is served elsewhere, from now on
    ask,        // this command, and only it, has to go elsewhere
    again,      // not executed; the same may succeed a little later
    no_script,  // EVALSHA of a script that the server does not know
    aborted,    // EXEC of a transaction of which a command was refused
  };

  Kind kind = Kind::none;
  std::uint16_t slot = 0;  // of moved and ask
  // Of moved and ask, as announced; an empty host means the host of the node that answered.
  ServerAddress address{};
};

// `error` is the text of the answer, for example "MOVED 866 10.0.0.1:7000".
Redirect redirect_of(std::string_view error);

}  // namespace mpr::redis
