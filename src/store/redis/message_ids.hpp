// How the Redis store names messages. A position and an entry of a stream are two spellings of one
// thing. The id of a message whose caller did not choose one tells its position and its size, so
// that acknowledging it needs no index; a piece of a hash makes ids of other connections useless.
// The id is trusted no further than the connection's own queue.
//
// All of it is stored or in the hands of wallets: it stays as it is for all time. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/ids.hpp"

namespace mpr::redis {

// "1750000000000-3" of a position: milliseconds of Redis' clock << 20 | number within.
std::string entry_of(Position position);
void append_entry(std::string& out, Position position);
std::optional<Position> position_of(std::string_view entry);

struct ServerMessageId {
  Position position;
  std::uint64_t size = 0;  // payload bytes
};

// 17 characters or more of [-_0-9A-Za-z]; ids of one connection sort as their positions.
MessageId encode_message_id(const Connection& connection, const ServerMessageId& what);
// Nothing if it is not an id that this store gave to a message of this connection.
std::optional<ServerMessageId> decode_message_id(const Connection& connection, std::string_view id);

// A connection as one text, for members of a partition's index.
std::string encode_connection(const Connection& connection);
std::optional<Connection> decode_connection(std::string_view text);

}  // namespace mpr::redis
