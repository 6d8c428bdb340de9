#include "net/websocket/frame_reader.hpp"

#include <simdjson.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "net/websocket/frame_writer.hpp"

namespace mpr::websocket {

namespace {

// A peer that announces a large message gets this much at once, and the rest when it has sent that
// much: announcing alone must not cost memory.
constexpr std::size_t kTrustedBytes = 1u << 20;

std::uint8_t byte_at(const char* bytes, std::size_t i) noexcept {
  return static_cast<std::uint8_t>(bytes[i]);
}

std::size_t head_size(std::uint8_t second) noexcept {
  const std::uint8_t length = second & 0x7f;
  return 2u + (length == 126 ? 2u : length == 127 ? 8u : 0u) + ((second & 0x80) != 0 ? 4u : 0u);
}

std::uint64_t big_endian(const char* bytes, std::size_t count) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < count; ++i) value = (value << 8) | byte_at(bytes, i);
  return value;
}

// The key as it applies behind `consumed` bytes.
std::uint32_t rotate_mask(std::uint32_t mask, std::size_t consumed) noexcept {
  const int bits = static_cast<int>(consumed % 4) * 8;
  return std::endian::native == std::endian::little ? std::rotr(mask, bits) : std::rotl(mask, bits);
}

}  // namespace

FrameReader::FrameReader(Role role, std::size_t max_message_bytes)
    : role_(role), max_message_bytes_(max_message_bytes) {}

void FrameReader::fail(CloseCode code, std::string_view reason) {
  state_ = State::finished;
  failure_ = {.kind = Event::Kind::failed, .payload = {}, .code = code, .reason = reason};
  input_ = {};
}

Event FrameReader::next() {
  if (release_due_) {
    release_due_ = false;
    std::string().swap(message_);  // assigning an empty string would keep the buffer
  }
  while (state_ != State::finished) {
    if (state_ == State::head && !read_head()) break;
    const Event event = read_payload();
    if (event.kind != Event::Kind::need_more) return event;
    if (state_ == State::payload) return event;  // the input ended inside the frame
  }
  input_ = state_ == State::finished ? std::span<char>() : input_;
  return std::exchange(failure_, {});
}

// True: the head is complete and correct, the payload follows.
bool FrameReader::read_head() {
  if (head_have_ == 0 && input_.size() >= 2) {
    const std::size_t size = head_size(byte_at(input_.data(), 1));
    if (input_.size() >= size) {
      const char* const head = input_.data();
      input_ = input_.subspan(size);
      return check_start(byte_at(head, 0), byte_at(head, 1)) && accept_head(head);
    }
  }
  while (!input_.empty()) {
    head_[head_have_++] = input_.front();
    input_ = input_.subspan(1);
    if (head_have_ == 2 && !check_start(byte_at(head_.data(), 0), byte_at(head_.data(), 1))) {
      return false;
    }
    if (head_have_ >= 2 && head_have_ == head_size(byte_at(head_.data(), 1))) {
      head_have_ = 0;
      return accept_head(head_.data());
    }
  }
  return false;
}

// What the first two bytes show to be wrong.
bool FrameReader::check_start(std::uint8_t first, std::uint8_t second) {
  const auto broken = [this](std::string_view reason) {
    fail(CloseCode::protocol_error, reason);
    return false;
  };
  if ((first & 0x70) != 0) return broken("reserved bits are set");
  const std::uint8_t opcode = first & 0x0f;
  const bool control = opcode >= 0x8;
  if (control ? opcode > 0xa : opcode > 0x2) return broken("unknown opcode");
  if (control && (first & 0x80) == 0) return broken("a control frame is fragmented");
  if (control && (second & 0x7f) > kMaxControlPayload) return broken("a control frame is too long");
  const bool masked = (second & 0x80) != 0;
  if (role_ == Role::server && !masked) return broken("a client's frame is not masked");
  if (role_ == Role::client && masked) return broken("a server's frame is masked");
  if (!control && fragmented_ && opcode != 0) return broken("a fragmented message is interrupted");
  if (!control && !fragmented_ && opcode == 0) return broken("a continuation continues nothing");
  return true;
}

bool FrameReader::accept_head(const char* head) {
  fin_ = (byte_at(head, 0) & 0x80) != 0;
  opcode_ = static_cast<Opcode>(byte_at(head, 0) & 0x0f);
  const std::uint8_t length = byte_at(head, 1) & 0x7f;
  const std::size_t extended = length == 126 ? 2 : length == 127 ? 8 : 0;
  payload_left_ = extended == 0 ? length : big_endian(head + 2, extended);
  if ((extended == 2 && payload_left_ < 126) || (extended == 8 && payload_left_ <= 0xffff) ||
      (payload_left_ >> 63) != 0) {
    fail(CloseCode::protocol_error, "a length is not encoded in its shortest form");
    return false;
  }
  if (!is_control() && payload_left_ > max_message_bytes_ - message_.size()) {
    fail(CloseCode::too_big, "the message is too big");
    return false;
  }
  mask_ = 0;
  if ((byte_at(head, 1) & 0x80) != 0) std::memcpy(&mask_, head + 2 + extended, sizeof mask_);
  control_have_ = 0;
  state_ = State::payload;
  return true;
}

Event FrameReader::read_payload() {
  const bool gathering = is_control() ? control_have_ > 0 : fragmented_ || !message_.empty();
  if (gathering || input_.size() < payload_left_ || (!fin_ && !is_control())) return gather();
  const std::span<char> payload = input_.first(static_cast<std::size_t>(payload_left_));
  input_ = input_.subspan(payload.size());
  apply_mask(payload.data(), payload.size(), mask_);
  return complete(payload);
}

// Copies what there is of the present frame; need_more unless that completes something.
Event FrameReader::gather() {
  const std::size_t count =
      static_cast<std::size_t>(std::min<std::uint64_t>(payload_left_, input_.size()));
  const std::span<char> bytes = input_.first(count);
  input_ = input_.subspan(count);
  apply_mask(bytes.data(), count, mask_);
  mask_ = rotate_mask(mask_, count);
  if (is_control()) {
    std::memcpy(control_.data() + control_have_, bytes.data(), count);
    control_have_ = static_cast<std::uint8_t>(control_have_ + count);
  } else {
    make_room(count);
    message_.append(bytes.data(), count);
  }
  payload_left_ -= count;
  if (payload_left_ > 0) return {};
  if (is_control()) return complete(std::span(control_).first(control_have_));
  fragmented_ = !fin_;
  if (!fin_) {
    state_ = State::head;
    return {};
  }
  release_due_ = true;
  return complete(message_);
}

// Room for the bytes that came, and for the rest of the frame as far as the peer is trusted.
void FrameReader::make_room(std::size_t incoming) {
  const std::size_t have = message_.size() + incoming;
  if (have <= message_.capacity()) return;
  const std::size_t wanted =
      message_.size() + static_cast<std::size_t>(payload_left_);  // of this frame
  if (have <= kTrustedBytes) {
    message_.reserve(std::max(std::min(wanted, kTrustedBytes), 2 * message_.size()));
  } else {
    message_.reserve(std::max(wanted, 2 * message_.size()));
  }
}

Event FrameReader::complete(std::span<char> payload) {
  state_ = State::head;
  const std::string_view text(payload.data(), payload.size());
  Event event = is_control() ? complete_control(text) : complete_message(text);
  if (event.kind == Event::Kind::failed || event.kind == Event::Kind::close) {
    state_ = State::finished;
    input_ = {};
  }
  return event;
}

Event FrameReader::complete_message(std::string_view message) const {
  if (!simdjson::validate_utf8(message.data(), message.size())) {
    return {.kind = Event::Kind::failed,
            .payload = {},
            .code = CloseCode::invalid_data,
            .reason = "the message is not UTF-8"};
  }
  return {.kind = Event::Kind::message, .payload = message, .code = CloseCode::none, .reason = {}};
}

Event FrameReader::complete_control(std::string_view payload) {
  if (opcode_ == Opcode::close) return complete_close(payload);
  return {.kind = opcode_ == Opcode::ping ? Event::Kind::ping : Event::Kind::pong,
          .payload = payload,
          .code = CloseCode::none,
          .reason = {}};
}

Event FrameReader::complete_close(std::string_view payload) {
  Event event{.kind = Event::Kind::close, .payload = {}, .code = CloseCode::none, .reason = {}};
  if (payload.empty()) return event;
  const auto code =
      static_cast<std::uint16_t>(payload.size() < 2 ? 0 : big_endian(payload.data(), 2));
  if (!is_valid_close_code(code)) {
    return {.kind = Event::Kind::failed,
            .payload = {},
            .code = CloseCode::protocol_error,
            .reason = "the close code is not valid"};
  }
  event.code = static_cast<CloseCode>(code);
  event.reason = payload.substr(2);
  if (!simdjson::validate_utf8(event.reason.data(), event.reason.size())) {
    return {.kind = Event::Kind::failed,
            .payload = {},
            .code = CloseCode::invalid_data,
            .reason = "the close reason is not UTF-8"};
  }
  return event;
}

}  // namespace mpr::websocket
