// What stands in the collection: messages as documents of the fields that the existing service
// uses, and of some of ours; its own documents are read as messages too. Pure functions, any
// thread.
#pragma once

#include <string>

#include "base/error.hpp"
#include "core/message.hpp"
#include "store/mongo/bson.hpp"

namespace mpr::mongo {

// The _id of a message that was copied: a second copy of it has the same.
std::string copied_id(const Connection& connection, const MessageId& id);
// The _id of what was added at a position: two adds cannot have the same.
std::string added_id(const Connection& connection, Position position);
// The _id of what is known of the end of a queue.
std::string tail_id(const Connection& connection);
// The _id of what is known of messages that were moved in it.
std::string moved_id(const Connection& connection);

Document document_of(const NewMessage& message, Position position, const std::string& id,
                     TimePoint now);
// The position of the first message of a queue of which nothing is known. It is the same for all
// gateways during a day, so that two first adds meet at it, and behind everything that was in the
// queue days ago.
Position first_position(TimePoint now);
// Messages of the connection that have not expired.
Document pending_filter(const Connection& connection, TimePoint now);
// All documents of the connection.
Document connection_filter(const Connection& connection);

// Documents of the existing service have no position of their own: it is derived from the time at
// which they were stored, and from the counter in their _id.
Position position_of(const bson_t& document);
MessageId message_id_of(const bson_t& document);
Connection connection_of(const bson_t& document);
TimePoint received_at_of(const bson_t& document);
// Payload bytes. Without encryptedMessageByteCount the document has to be whole.
std::uint64_t size_of(const bson_t& document);
std::optional<PushToken> push_token_of(const bson_t& document);
StoredMessage message_of(const bson_t& document);

// What status() and the like need to know of a document of ours, without its payload.
Document figures_projection();

}  // namespace mpr::mongo
