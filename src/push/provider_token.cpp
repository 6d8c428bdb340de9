#include "push/provider_token.hpp"

namespace mpr {

namespace {

constexpr std::chrono::minutes kLife{50};             // Apple refuses older ones than 60 minutes,
constexpr std::chrono::minutes kBetweenRenewals{20};  // and more updates than one in 20

}  // namespace

ProviderToken::ProviderToken(const ApnsIdentity& identity, Clock& clock)
    : identity_(identity), clock_(clock) {}

const std::string& ProviderToken::get() {
  if (token_.empty() || clock_.steady_now() - made_ >= kLife) renew();
  return token_;
}

bool ProviderToken::expired(const std::string& token) {
  if (token != token_) return true;
  const SteadyPoint now = clock_.steady_now();
  if (forced_ && now - *forced_ < kBetweenRenewals) return false;
  forced_ = now;
  renew();
  return true;
}

void ProviderToken::renew() {
  SigningKey::Claims claims;
  claims.key_id = identity_.key_id;
  claims.texts = {{"iss", identity_.team_id}};
  claims.numbers = {
      {"iat", std::chrono::floor<std::chrono::seconds>(clock_.now()).time_since_epoch().count()}};
  auto signed_token = identity_.key.sign(claims);
  made_ = clock_.steady_now();
  // The key has signed before, when it was read: what can fail now is memory.
  token_ = signed_token ? std::move(*signed_token) : std::string();
}

}  // namespace mpr
