// MessageQueues: copying messages from the hot tier, as unordered bulks.
#include <algorithm>

#include "store/mongo/message_queues.hpp"

namespace mpr::mongo {

namespace {

constexpr std::size_t kMostDocumentBytes = (16U << 20) - 1024;
// One bulk has to be done well within the socket's timeout.
constexpr std::size_t kBulkDocuments = 1000;
constexpr std::size_t kBulkBytes = 16U << 20;

}  // namespace

// If the server refuses a bulk as a whole, for what one document in it is, halves are tried until
// that one is found.
Result<void> MessageQueues::copy_documents(std::span<Copied> copied, Deadline deadline) {
  std::vector<const Document*> documents;
  for (const Copied& one : copied) documents.push_back(&one.document);
  const auto refused = patiently(
      deadline, [&] { return database_.insert(Table::messages, documents, InsertOrder::any); });
  if (!refused && refused.error().code != Errc::invalid_argument) {
    return std::unexpected(refused.error());
  }
  if (!refused && copied.size() > 1) {
    const std::size_t half = copied.size() / 2;
    if (auto first = copy_documents(copied.first(half), deadline); !first) return first;
    return copy_documents(copied.subspan(half), deadline);
  }
  if (!refused) {
    *copied.front().result = {CopyOutcome::refused, refused.error().context};
    return {};
  }
  std::vector<const Copied*> known;
  for (const Refusal& refusal : *refused) {
    const Copied& one = copied[refusal.index];
    if (refusal.duplicate) {
      one.result->outcome = CopyOutcome::known;
      known.push_back(&one);
    } else {
      *one.result = {CopyOutcome::refused, refusal.reason};
    }
  }
  if (auto done = replace_expired(known, deadline); !done) return done;
  std::int64_t messages = 0;
  std::int64_t bytes = 0;
  for (const Copied& one : copied) {
    if (one.result->outcome != CopyOutcome::copied) continue;
    messages += 1;
    bytes += static_cast<std::int64_t>(one.message->message.size());
  }
  state_.count(messages, bytes, 0);
  return {};
}

// A message whose time is over gives its id back, although nobody has swept it away yet.
Result<void> MessageQueues::replace_expired(std::span<const Copied* const> known,
                                            Deadline deadline) {
  if (known.empty()) return {};
  Array ids;
  std::vector<const Document*> documents;
  for (const Copied* one : known) {
    bson_iter_t id;
    if (bson_iter_init_find(&id, one->document.get(), "_id")) ids.value(id);
    documents.push_back(&one->document);
  }
  Document in;
  in.array("$in", ids.done());
  Document past;
  past.time("$lte", state_.clock.now());
  Document filter;
  filter.document("_id", in);
  filter.document("expiresAt", past);
  const auto removed =
      patiently(deadline, [&] { return database_.remove_many(Table::messages, filter); });
  if (!removed) return std::unexpected(removed.error());
  if (*removed == 0) return {};
  const auto refused = patiently(
      deadline, [&] { return database_.insert(Table::messages, documents, InsertOrder::any); });
  if (!refused) return std::unexpected(refused.error());
  for (const Copied* one : known) one->result->outcome = CopyOutcome::copied;
  for (const Refusal& refusal : *refused) {
    known[refusal.index]->result->outcome = CopyOutcome::known;
  }
  return {};
}

void MessageQueues::copy(const Copies& copies, Resumptions& resumptions) {
  Deadline last{std::chrono::steady_clock::time_point::min()};
  std::vector<std::vector<CopyResult>> results;
  for (const auto& copy : copies) {
    last.at = std::max(last.at, bounded(copy->deadline).at);
    results.emplace_back(copy->messages.size());
  }
  std::optional<Error> failed;
  std::vector<Copied> bulk;
  std::size_t bytes = 0;
  const auto flush = [&] {
    if (bulk.empty() || failed) return;
    if (const auto done = copy_documents(bulk, last); !done) failed = done.error();
    bulk.clear();
    bytes = 0;
  };
  const TimePoint now = state_.clock.now();
  for (std::size_t i = 0; i < copies.size() && !failed; ++i) {
    for (std::size_t n = 0; n < copies[i]->messages.size(); ++n) {
      const TierMessage& message = copies[i]->messages[n];
      Document document =
          document_of(message.message, message.position,
                      copied_id(message.message.connection, message.message.id), now);
      if (document.size() > kMostDocumentBytes) {
        results[i][n] = {CopyOutcome::refused,
                         "the message is larger than the database takes: 16 MiB"};
        continue;
      }
      bytes += document.size();
      bulk.push_back({&message, &results[i][n], std::move(document)});
      if (bulk.size() >= kBulkDocuments || bytes >= kBulkBytes) flush();
    }
  }
  flush();
  for (std::size_t i = 0; i < copies.size(); ++i) {
    if (failed) {
      copies[i]->refuse(*failed, resumptions);
    } else {
      copies[i]->answer(std::move(results[i]), resumptions);
    }
  }
}

}  // namespace mpr::mongo
