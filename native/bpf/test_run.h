#pragma once

#include <napi.h>

#include <optional>
#include <vector>

#include "core/sys_error.h"
#include "core/unique_fd.h"

namespace margay {

/** One BPF_PROG_TEST_RUN and its result. For a pool thread. */
struct TestRun {
  SharedFd program;
  bool is_syscall = false;
  std::vector<uint8_t> data;
  std::vector<uint8_t> context;
  std::vector<uint8_t> data_out;
  uint32_t repeat = 0;
  uint32_t retval = 0;
  uint32_t duration_ns = 0;
};

/** From a TestRunOptions object. Nothing, with a TypeError pending, when wrong. */
std::optional<TestRun> ToTestRun(Napi::Env env, Napi::Value options, SharedFd program,
                                 uint32_t program_type);
SysError RunTest(TestRun& run);
/** As a TestRunResult. */
Napi::Value FromTestRun(Napi::Env env, TestRun& run);

}  // namespace margay
