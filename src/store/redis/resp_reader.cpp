#include "store/redis/resp_reader.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace mpr::redis {

namespace {

// What is reserved at once for announced items and bytes; more is believed only when it comes.
constexpr std::uint64_t kTrustedItems = 1024;
constexpr std::uint64_t kTrustedBytes = 1 << 20;

std::optional<std::int64_t> parse_integer(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

}  // namespace

void RespReader::reset() {
  input_ = {};
  line_.clear();
  stack_.clear();
  root_ = {};
  in_bulk_ = verbatim_ = failed_ = false;
  bulk_left_ = 0;
  items_ = bytes_ = 0;
  problem_.clear();
}

RespReader::Step RespReader::fail(std::string problem) {
  failed_ = true;
  problem_ = std::move(problem);
  stack_.clear();
  root_ = {};
  return Step::failed;
}

RespReader::Next RespReader::next(Value& out) {
  if (failed_) return Next::failed;
  while (true) {
    const Step step = in_bulk_ ? read_bulk() : read_line();
    if (step == Step::need_more) return Next::need_more;
    if (step == Step::failed) return Next::failed;
    if (in_bulk_ || (!stack_.empty() && !close_value())) continue;
    if (stack_.empty()) {
      out = std::move(root_);
      root_ = {};
      items_ = bytes_ = 0;
      return Next::value;
    }
  }
}

// Closes the value on top, and with it every container that it completes.
bool RespReader::close_value() {
  while (!stack_.empty()) {
    Open& top = stack_.back();
    if (top.left > 0) return false;
    const bool attribute = top.attribute;
    Value* value = top.value;
    stack_.pop_back();
    if (attribute) {  // its place is taken by the value that follows
      *value = {};
      stack_.push_back({.value = value});
      return false;
    }
  }
  return true;
}

RespReader::Step RespReader::read_bulk() {
  std::string& text = stack_.back().value->text;
  while (bulk_left_ > 0) {
    if (input_.empty()) return Step::need_more;
    if (bulk_left_ > 2) {
      const auto count =
          static_cast<std::size_t>(std::min<std::uint64_t>(bulk_left_ - 2, input_.size()));
      text.append(input_.data(), count);
      input_.remove_prefix(count);
      bulk_left_ -= count;
    } else {
      if (input_.front() != (bulk_left_ == 2 ? '\r' : '\n')) {
        return fail("a string is longer than announced");
      }
      input_.remove_prefix(1);
      --bulk_left_;
    }
  }
  in_bulk_ = false;
  if (verbatim_) {
    if (text.size() < 4 || text[3] != ':') return fail("a verbatim string names no format");
    text.erase(0, 4);
    verbatim_ = false;
  }
  return Step::done;
}

RespReader::Step RespReader::read_line() {
  const std::size_t newline = input_.find('\n');
  const std::size_t count = newline == std::string_view::npos ? input_.size() : newline + 1;
  if (line_.size() + count > limits_.line_bytes) return fail("a line is too long");
  if (newline == std::string_view::npos) {
    line_ += input_;
    input_ = {};
    return Step::need_more;
  }
  std::string_view line = input_.substr(0, count);
  input_.remove_prefix(count);
  std::string joined;
  if (!line_.empty()) {
    joined = std::move(line_);
    line_.clear();
    joined += line;
    line = joined;
  }
  if (line.size() < 3 || line[line.size() - 2] != '\r')
    return fail("a line does not end as it must");
  const Step opened = open_next();
  if (opened != Step::done) return opened;
  return begin_value(line.front(), line.substr(1, line.size() - 3));
}

// Makes room for the next value: the root, or an item of the container on top.
RespReader::Step RespReader::open_next() {
  if (++items_ > limits_.items) return fail("an answer has too many items");
  if (stack_.empty()) {
    stack_.push_back({.value = &root_});
    return Step::done;
  }
  Open& top = stack_.back();
  if (top.left == 0) return Step::done;  // the place that an attribute left
  if (stack_.size() >= limits_.depth) return fail("an answer is nested too deeply");
  --top.left;
  // Nothing refers to the earlier items any more, so they may move.
  Value& item = top.value->items.emplace_back();
  stack_.push_back({.value = &item});
  return Step::done;
}

RespReader::Step RespReader::begin_value(char type, std::string_view rest) {
  switch (type) {
    case '$':
    case '=':
    case '!':
      stack_.back().value->kind = type == '!' ? Value::Kind::error : Value::Kind::text;
      verbatim_ = type == '=';
      return begin_bulk(rest);
    case '*':
    case '~':
    case '>':
    case '%':
    case '|':
      return begin_items(type, rest);
    default:
      return begin_scalar(type, rest);
  }
}

RespReader::Step RespReader::begin_bulk(std::string_view rest) {
  const auto length = parse_integer(rest);
  if (!length || *length < -1) return fail("the length of a string is no number");
  Value& value = *stack_.back().value;
  if (*length == -1) {
    value.kind = Value::Kind::null;
    verbatim_ = false;
    return Step::done;
  }
  const auto bytes = static_cast<std::uint64_t>(*length);
  if (bytes > limits_.bytes - bytes_) return fail("an answer is too large");
  bytes_ += bytes;
  value.text.reserve(std::min(bytes, kTrustedBytes));
  bulk_left_ = bytes + 2;
  in_bulk_ = true;
  return read_bulk();
}

RespReader::Step RespReader::begin_items(char type, std::string_view rest) {
  const auto length = parse_integer(rest);
  if (!length || *length < -1) return fail("the length of an array is no number");
  Open& top = stack_.back();
  if (*length == -1) return Step::done;  // a null array
  auto items = static_cast<std::uint64_t>(*length);
  if (items > limits_.items) return fail("an answer has too many items");
  if (type == '%' || type == '|') items *= 2;
  top.value->kind = Value::Kind::array;
  top.value->items.reserve(std::min(items, kTrustedItems));
  top.left = items;
  top.attribute = type == '|';
  return Step::done;
}

RespReader::Step RespReader::begin_scalar(char type, std::string_view rest) {
  Value& value = *stack_.back().value;
  switch (type) {
    case '+':
    case ',':
    case '(':
      value.kind = Value::Kind::text;
      break;
    case '-':
      value.kind = Value::Kind::error;
      break;
    case ':': {
      const auto number = parse_integer(rest);
      if (!number) return fail("an integer is no number");
      value.kind = Value::Kind::integer;
      value.integer = *number;
      return Step::done;
    }
    case '#':
      if (rest != "t" && rest != "f") return fail("a boolean is neither true nor false");
      value.kind = Value::Kind::integer;
      value.integer = rest == "t" ? 1 : 0;
      return Step::done;
    case '_':
      return Step::done;
    default:
      return fail("an answer begins with an unknown type");
  }
  if (rest.size() > limits_.bytes - bytes_) return fail("an answer is too large");
  bytes_ += rest.size();
  value.text = rest;
  return Step::done;
}

}  // namespace mpr::redis
