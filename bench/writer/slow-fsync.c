/*
 * Preloaded into a server: makes fsync and fdatasync take FSYNC_MS longer, as on a slower disk, and
 * counts the calls in the file FSYNC_COUNTERS as four 64-bit numbers: fsync and fdatasync made by
 * the main thread, then fsync and fdatasync made by the other threads.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct timespec pause_time;
static _Atomic uint64_t unmapped[4];
static _Atomic uint64_t *counters = unmapped;
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);

__attribute__((constructor)) static void prepare(void) {
  const char *ms = getenv("FSYNC_MS");
  const char *path = getenv("FSYNC_COUNTERS");
  int64_t ns = ms ? (int64_t)(atof(ms) * 1e6) : 0;
  pause_time.tv_sec = ns / 1000000000;
  pause_time.tv_nsec = ns % 1000000000;
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  if (!path) return;
  int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || ftruncate(file, sizeof unmapped) != 0) abort();
  counters = mmap(NULL, sizeof unmapped, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (counters == MAP_FAILED) abort();
  close(file);
}

static void count_and_pause(int counter) {
  static _Thread_local int exact_timer;
  if (!exact_timer) {
    /* The default slack of 50 us would be half of the shortest pause. */
    prctl(PR_SET_TIMERSLACK, 1);
    exact_timer = 1;
  }
  int other_thread = syscall(SYS_gettid) != getpid();
  atomic_fetch_add(&counters[counter + 2 * other_thread], 1);
  if (pause_time.tv_sec || pause_time.tv_nsec) nanosleep(&pause_time, NULL);
}

int fsync(int file) {
  count_and_pause(0);
  return real_fsync(file);
}

int fdatasync(int file) {
  count_and_pause(1);
  return real_fdatasync(file);
}
