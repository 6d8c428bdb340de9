#include "store/redis/request.hpp"

#include <openssl/evp.h>

#include <array>
#include <charconv>
#include <stdexcept>

namespace mpr::redis {

namespace {

constexpr std::string_view kMulti = "MULTI";
constexpr std::string_view kEvalSha = "EVALSHA";

void append_header(std::string& out, char type, std::size_t number) {
  std::array<char, 24> text;
  text[0] = type;
  char* end = std::to_chars(text.data() + 1, text.data() + text.size() - 2, number).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out.append(text.data(), end);
}

void append_bulk(std::string& out, std::string_view word) {
  append_header(out, '$', word.size());
  out += word;
  out += "\r\n";
}

std::string sha1_hex(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned length = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &length, EVP_sha1(), nullptr) != 1) {
    throw std::runtime_error("SHA-1 is not available in this OpenSSL");
  }
  std::string hex;
  for (unsigned i = 0; i < length; ++i) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    hex += kDigits[digest[i] >> 4U];
    hex += kDigits[digest[i] & 0xFU];
  }
  return hex;
}

}  // namespace

Script::Script(std::string_view script_name, std::string_view script_text)
    : name(script_name), text(script_text), sha1(sha1_hex(script_text)) {}

void Request::begin_command(std::size_t words, Repeat repeat) {
  commands_.push_back({.begin = bytes_.size(), .repeat = repeat});
  append_header(bytes_, '*', words);
}

void Request::append_word(std::string_view word) { append_bulk(bytes_, word); }

Request& Request::add(std::initializer_list<std::string_view> words, Repeat repeat) {
  begin_command(words.size(), repeat);
  for (const std::string_view word : words) append_word(word);
  if (words.size() == 1 && *words.begin() == kMulti) transaction_ = true;
  return *this;
}

Request& Request::add(std::span<const std::string> words, Repeat repeat) {
  begin_command(words.size(), repeat);
  for (const std::string& word : words) append_word(word);
  if (words.size() == 1 && words.front() == kMulti) transaction_ = true;
  return *this;
}

Request& Request::eval(const Script& script, std::span<const std::string> keys,
                       std::span<const std::string> arguments, Repeat repeat) {
  begin_command(3 + keys.size() + arguments.size(), repeat);
  commands_.back().script = &script;
  append_word(kEvalSha);
  append_word(script.sha1);
  append_word(std::to_string(keys.size()));
  for (const std::string& key : keys) append_word(key);
  for (const std::string& argument : arguments) append_word(argument);
  return *this;
}

std::string_view Request::bytes_of(std::size_t command) const noexcept {
  const std::size_t begin = commands_[command].begin;
  const std::size_t end =
      command + 1 < commands_.size() ? commands_[command + 1].begin : bytes_.size();
  return std::string_view(bytes_).substr(begin, end - begin);
}

std::string Request::with_text(std::size_t command) const {
  const Script& script = *commands_[command].script;
  std::string sent;
  append_bulk(sent, kEvalSha);
  append_bulk(sent, script.sha1);
  const std::string_view bytes = bytes_of(command);
  const std::size_t header = bytes.find('\n') + 1;

  std::string out(bytes.substr(0, header));
  append_bulk(out, "EVAL");
  append_bulk(out, script.text);
  out += bytes.substr(header + sent.size());
  return out;
}

}  // namespace mpr::redis
