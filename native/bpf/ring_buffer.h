#pragma once

#include <bpf/libbpf.h>
#include <napi.h>

#include <memory>

#include "core/loop_poll.h"
#include "core/unique_fd.h"

namespace margay {

/** Delivers the records of one BPF ring buffer to JavaScript, a bounded number at a time. */
class RingBuffer : public Napi::ObjectWrap<RingBuffer> {
 public:
  static void Export(Napi::Env env, Napi::Object exports);
  explicit RingBuffer(const Napi::CallbackInfo& info);
  ~RingBuffer() override;

 private:
  static int OnSample(void* self, void* data, size_t size);
  void OnReadable();
  void Close(const Napi::CallbackInfo& info);
  void CloseNow();

  SharedFd map_;
  std::unique_ptr<ring_buffer, decltype(&ring_buffer__free)> ring_{nullptr, ring_buffer__free};
  Napi::FunctionReference on_record_;
  std::unique_ptr<Napi::AsyncContext> context_;
  LoopPoll poll_;
  unsigned records_this_turn_ = 0;
  bool consuming_ = false;  // inside ring_buffer__consume: a close() has to wait for its end
  bool closed_ = true;
};

}  // namespace margay
