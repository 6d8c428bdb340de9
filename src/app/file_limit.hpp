// How many files, and so sockets, this process may have open. For the main thread.
#pragma once

#include <cstdint>

namespace mpr {

// Raises the soft limit of open files to the hard one.
void raise_file_limit();

// The limit of open files, less a reserve for everything that is no mediator's socket: log
// segments, listeners, event loops, the operators' connections.
std::uint64_t room_for_connections();

}  // namespace mpr
