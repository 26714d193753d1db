#pragma once

#include <napi.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

namespace margay {

/** A view of a Uint8Array. Valid until control returns to JavaScript: pool threads get a Copy(). */
struct ByteView {
  uint8_t* data = nullptr;
  size_t size = 0;
  std::vector<uint8_t> Copy() const { return std::vector<uint8_t>(data, data + size); }
};

/** Message without the throw of napi: the caller returns at once. */
inline void ThrowType(Napi::Env env, const std::string& message) {
  Napi::TypeError::New(env, message).ThrowAsJavaScriptException();
}

inline std::optional<ByteView> ToBytes(Napi::Env env, Napi::Value value, const char* name) {
  if (value.IsTypedArray() &&
      value.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array) {
    auto array = value.As<Napi::Uint8Array>();
    return ByteView{array.Data(), array.ByteLength()};
  }
  ThrowType(env, std::string(name) + " must be a Uint8Array");
  return std::nullopt;
}

/** A Uint8Array of exactly `size` bytes. */
inline std::optional<ByteView> ToBytesOf(Napi::Env env, Napi::Value value, const char* name,
                                         size_t size) {
  auto bytes = ToBytes(env, value, name);
  if (!bytes || bytes->size == size) return bytes;
  ThrowType(env, std::string(name) + " has " + std::to_string(bytes->size) + " bytes, wanted " +
                     std::to_string(size));
  return std::nullopt;
}

inline std::optional<uint32_t> ToU32(Napi::Env env, Napi::Value value, const char* name) {
  if (value.IsNumber()) {
    const double number = value.As<Napi::Number>().DoubleValue();
    if (number >= 0 && number <= UINT32_MAX && number == static_cast<uint32_t>(number)) {
      return static_cast<uint32_t>(number);
    }
  }
  ThrowType(env, std::string(name) + " must be an integer from 0 to 4294967295");
  return std::nullopt;
}

inline std::optional<uint32_t> ToU32Or(Napi::Env env, Napi::Value value, const char* name,
                                       uint32_t otherwise) {
  return value.IsUndefined() ? std::optional<uint32_t>(otherwise) : ToU32(env, value, name);
}

/** A string without NUL bytes: names and paths go to C. */
inline std::optional<std::string> ToText(Napi::Env env, Napi::Value value, const char* name) {
  if (value.IsString()) {
    std::string text = value.As<Napi::String>().Utf8Value();
    if (text.find('\0') == std::string::npos) return text;
  }
  ThrowType(env, std::string(name) + " must be a string without NUL");
  return std::nullopt;
}

/** true for 'ingress', false for 'egress'. */
inline std::optional<bool> ToIsIngress(Napi::Env env, Napi::Value value) {
  if (value.IsString()) {
    const std::string text = value.As<Napi::String>().Utf8Value();
    if (text == "ingress" || text == "egress") return text == "ingress";
  }
  ThrowType(env, "direction must be 'ingress' or 'egress'");
  return std::nullopt;
}

inline std::optional<Napi::Function> ToFunction(Napi::Env env, Napi::Value value,
                                                const char* name) {
  if (value.IsFunction()) return value.As<Napi::Function>();
  ThrowType(env, std::string(name) + " must be a function");
  return std::nullopt;
}

inline Napi::Uint8Array FromBytes(Napi::Env env, const void* data, size_t size) {
  Napi::Uint8Array array = Napi::Uint8Array::New(env, size);
  if (size > 0) memcpy(array.Data(), data, size);
  return array;
}

/** Gives the vector's memory to JavaScript without copying it. */
inline Napi::Uint8Array AdoptBytes(Napi::Env env, std::vector<uint8_t> bytes) {
  if (bytes.empty()) return Napi::Uint8Array::New(env, 0);
  auto* owned = new std::vector<uint8_t>(std::move(bytes));
  Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(
      env, owned->data(), owned->size(),
      [](Napi::Env, void*, std::vector<uint8_t>* gone) { delete gone; }, owned);
  return Napi::Uint8Array::New(env, owned->size(), buffer, 0);
}

}  // namespace margay
