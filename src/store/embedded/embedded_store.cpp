#include "store/embedded/embedded_store.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "store/embedded/cold_reader.hpp"
#include "store/embedded/commit_writer.hpp"
#include "store/embedded/data_directory.hpp"
#include "store/embedded/recovery.hpp"

namespace mpr {

// Destroyed from the last member up: the writer stops while everything it uses is still there.
struct EmbeddedStore::Parts {
  Parts(Options o, std::unique_ptr<DataDirectory> d, FileSystem& files, Clock& c, Metrics& metrics)
      : options(std::move(o)),
        clock(c),
        directory(std::move(d)),
        log(files, *directory, options.segment_bytes, metrics),
        remembered(options.idempotency_window, options.remembered_ids) {}

  QueueIndex::Scope scope_of(const QueueQuery& query) const {
    QueueIndex::Scope scope;
    scope.queue = QueueIndex::queue_key(directory->hash(), query.connection);
    if (query.recipient_did) {
      scope.lane = QueueIndex::key_in(directory->hash(), scope.queue, query.recipient_did->value);
    }
    return scope;
  }

  const Options options;
  Clock& clock;
  const std::unique_ptr<DataDirectory> directory;
  SegmentLog log;
  QueueIndex index;
  RememberedIds remembered;
  CommitGroup::Store store{options, index, remembered, log, 1, {}};
  ColdReader reader;
  std::unique_ptr<CommitWriter> writer;
};

namespace {

constexpr std::uint64_t kLeastSegmentBytes = 16 * 1024;
constexpr std::uint64_t kMostSegmentBytes = 1ULL << 30;
// How many of the newest messages are searched for a push token.
constexpr int kTokenSearch = 16;

std::unexpected<Error> too_late() {
  return fail(Errc::deadline_exceeded, "the deadline passed before the store began");
}

// The size of the largest segment that is there: what was once accepted has to fit when it is
// copied, even if segments are configured to be smaller now.
Result<std::uint64_t> largest_segment(FileSystem& files, const DataDirectory& directory) {
  const auto names = files.list(directory.path());
  if (!names) return std::unexpected(names.error());
  std::uint64_t largest = 0;
  for (const std::string& name : *names) {
    if (!parse_segment_name(name)) continue;
    const auto file = files.open(directory.file(name), FileSystem::Open::existing);
    if (!file) return std::unexpected(file.error());
    const auto size = (*file)->size();
    if (!size) return std::unexpected(size.error());
    largest = std::max(largest, *size / kRecordAlignment * kRecordAlignment);
  }
  return largest;
}

// Hands an operation to the writer and waits for its answer.
template <class T>
Task<Result<T>> answered(CommitWriter& writer, std::unique_ptr<AnsweredOperation<T>> operation) {
  co_return co_await answer_of<Result<T>>([&writer, &operation](Completion<Result<T>>& completion) {
    operation->answer_to(completion);
    if (auto queued = writer.submit(*operation); !queued) {
      completion.complete(std::unexpected(std::move(queued.error())));
    }
  });
}

// Reads the index: at once, or if changes of the queue still wait, behind those and before later
// ones.
template <class Read>
Task<Result<std::invoke_result_t<Read>>> in_order(CommitWriter& writer, Hash128 queue_key,
                                                  Deadline deadline, Read read) {
  using T = std::invoke_result_t<Read>;
  if (!writer.busy(queue_key)) co_return read();
  std::unique_ptr<AnsweredOperation<T>> operation =
      std::make_unique<ReadOperation<Read>>(std::move(read), queue_key, deadline);
  co_return co_await answered(writer, std::move(operation));
}

}  // namespace

EmbeddedStore::EmbeddedStore(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

EmbeddedStore::~EmbeddedStore() = default;

Result<std::unique_ptr<EmbeddedStore>> EmbeddedStore::open(Options options, Clock& clock,
                                                           Metrics& metrics, FileSystem& files) {
  if (options.segment_bytes < kLeastSegmentBytes || options.segment_bytes > kMostSegmentBytes ||
      options.segment_bytes % kRecordAlignment != 0) {
    return fail(Errc::invalid_argument,
                "segment_bytes has to be a multiple of 8 from 16 KiB to 1 GiB");
  }
  const auto began = std::chrono::steady_clock::now();
  auto directory = DataDirectory::open(files, options.directory);
  if (!directory) return std::unexpected(directory.error());
  const auto largest = largest_segment(files, **directory);
  if (!largest) return std::unexpected(largest.error());
  options.segment_bytes = std::max(options.segment_bytes, *largest);
  auto parts =
      std::make_unique<Parts>(std::move(options), std::move(*directory), files, clock, metrics);
  const TimePoint now = clock.now();
  auto recovered = recover_log(files, *parts->directory, now,
                               now - parts->options.idempotency_window, parts->index);
  if (!recovered) return std::unexpected(recovered.error());

  for (const auto& known : recovered->remembered) {
    parts->remembered.remember(known.id, known.segment_sequence);
  }
  parts->store.next_position = recovered->next_position;
  const std::size_t segments = recovered->segments.size();
  parts->log.adopt(std::move(recovered->segments), recovered->spare_names,
                   recovered->next_sequence);
  parts->writer =
      std::make_unique<CommitWriter>(parts->store, parts->directory->hash(), clock, metrics);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - began);
  log::info("opened the message store", {{"directory", parts->options.directory.string()},
                                         {"messages", parts->index.totals().messages},
                                         {"segments", segments},
                                         {"bytes_read", recovered->bytes_read},
                                         {"milliseconds", took.count()}});
  return std::unique_ptr<EmbeddedStore>(new EmbeddedStore(std::move(parts)));
}

Task<Result<AddOutcome>> EmbeddedStore::add(NewMessage message, Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  const KeyedHash& hash = parts_->directory->hash();
  const Hash128 key = QueueIndex::queue_key(hash, message.connection);
  std::unique_ptr<AnsweredOperation<AddOutcome>> operation =
      std::make_unique<AddOperation>(std::move(message), hash, key, deadline);
  co_return co_await answered(*parts_->writer, std::move(operation));
}

Task<Result<std::vector<StoredMessage>>> EmbeddedStore::take(TakeQuery query, Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  const QueueIndex::Scope scope = parts_->scope_of(query.queue);
  if (query.mode == TakeMode::remove) {
    std::unique_ptr<AnsweredOperation<std::vector<StoredMessage>>> operation =
        std::make_unique<TakeOperation>(std::move(query), scope, deadline);
    co_return co_await answered(*parts_->writer, std::move(operation));
  }
  auto locate = [&] { return parts_->index.locate(scope, query, parts_->clock.now()); };
  auto places = co_await in_order(*parts_->writer, scope.queue, deadline, locate);
  if (!places) co_return std::unexpected(std::move(places.error()));
  co_return co_await parts_->reader.read(std::move(*places), deadline);
}

Task<Result<std::uint64_t>> EmbeddedStore::count(QueueQuery query, Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  const QueueIndex::Scope scope = parts_->scope_of(query);
  auto count = [&] { return parts_->index.count(scope, query.exclude, parts_->clock.now()); };
  co_return co_await in_order(*parts_->writer, scope.queue, deadline, count);
}

Task<Result<QueueStatus>> EmbeddedStore::status(QueueQuery query, Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  const QueueIndex::Scope scope = parts_->scope_of(query);
  auto status = [&] { return parts_->index.status(scope, query.exclude, parts_->clock.now()); };
  co_return co_await in_order(*parts_->writer, scope.queue, deadline, status);
}

Task<Result<Position>> EmbeddedStore::tail(Connection connection, Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  const Hash128 key = QueueIndex::queue_key(parts_->directory->hash(), connection);
  if (!parts_->writer->busy(key)) co_return parts_->writer->committed();
  std::unique_ptr<AnsweredOperation<Position>> operation =
      std::make_unique<TailOperation>(key, deadline);
  co_return co_await answered(*parts_->writer, std::move(operation));
}

Task<Result<std::optional<PushToken>>> EmbeddedStore::newest_push_token(Connection connection,
                                                                        Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  const Hash128 key = QueueIndex::queue_key(parts_->directory->hash(), connection);
  auto newest = [&] {
    return parts_->index.newest_with_token(key, kTokenSearch, parts_->clock.now());
  };
  auto place = co_await in_order(*parts_->writer, key, deadline, newest);
  if (!place) co_return std::unexpected(std::move(place.error()));
  if (!*place) co_return std::optional<PushToken>();
  std::vector<RecordPlace> places;
  places.push_back(std::move(**place));
  auto messages = co_await parts_->reader.read(std::move(places), deadline);
  if (!messages) co_return std::unexpected(std::move(messages.error()));
  co_return std::move(messages->front().push_token);
}

Task<Result<RemoveOutcome>> EmbeddedStore::remove(Connection connection, std::vector<MessageId> ids,
                                                  Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  const KeyedHash& hash = parts_->directory->hash();
  const Hash128 key = QueueIndex::queue_key(hash, connection);
  std::unique_ptr<AnsweredOperation<RemoveOutcome>> operation =
      std::make_unique<RemoveOperation>(ids, hash, key, deadline);
  co_return co_await answered(*parts_->writer, std::move(operation));
}

Task<Result<RemoveOutcome>> EmbeddedStore::remove_all(Connection connection,
                                                      std::optional<RecipientDid> recipient_did,
                                                      Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  QueueQuery query;
  query.connection = std::move(connection);
  query.recipient_did = std::move(recipient_did);
  const QueueIndex::Scope scope = parts_->scope_of(query);
  std::unique_ptr<AnsweredOperation<RemoveOutcome>> operation =
      std::make_unique<RemoveAllOperation>(scope, deadline);
  co_return co_await answered(*parts_->writer, std::move(operation));
}

Result<void> EmbeddedStore::ready() const { return parts_->writer->ready(); }

StoreTotals EmbeddedStore::totals() const { return parts_->index.totals(); }

}  // namespace mpr
