/* reads DEVICE DEPTH [COUNT]: COUNT reads of 4 KiB at scattered places, past the page cache, DEPTH (at most 32) in flight. Says
   READS depth=N count=N us=N sum=N. By Linux's asynchronous I/O (io_submit), which needs no library. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <linux/fs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 4096, MOST = 32 };
static char *buffers[MOST];

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}

/* Each block once, in an order that no read-ahead foresees. */
static uint64_t place(unsigned i, uint64_t blocks) { return (uint64_t)i * 2654435761u % blocks * SIZE; }

static void run(int fd, uint64_t blocks, unsigned count, unsigned depth) {
  aio_context_t context = 0;
  struct iocb requests[MOST] = {{0}}, *list[MOST];
  struct io_event events[MOST];
  uint64_t sum = 0, start = now();
  unsigned next = 0, done = 0;
  if (syscall(SYS_io_setup, MOST, &context) < 0) {
    perror("io_setup");
    exit(1);
  }
  int idle[MOST], free = depth;
  for (unsigned i = 0; i < depth; i++) idle[i] = i;
  while (done < count) {
    int n = 0;
    while (free > 0 && next < count) {
      int slot = idle[--free];
      struct iocb *request = &requests[slot];
      request->aio_data = slot;
      request->aio_fildes = fd;
      request->aio_lio_opcode = IOCB_CMD_PREAD;
      request->aio_buf = (uint64_t)(uintptr_t)buffers[slot];
      request->aio_nbytes = SIZE;
      request->aio_offset = place(next++, blocks);
      list[n++] = request;
    }
    if (n > 0 && syscall(SYS_io_submit, context, n, list) != n) {
      perror("io_submit");
      exit(1);
    }
    int got = syscall(SYS_io_getevents, context, 1, MOST, events, NULL);
    for (int i = 0; i < got; i++) {
      if (events[i].res != SIZE) {
        fprintf(stderr, "a read came to %lld\n", (long long)events[i].res);
        exit(1);
      }
      uint64_t *words = (uint64_t *)buffers[events[i].data];
      sum += words[0] ^ words[SIZE / 8 - 1];
      idle[free++] = events[i].data;
    }
    done += got > 0 ? got : 0;
  }
  uint64_t end = now();
  syscall(SYS_io_destroy, context);
  printf("READS depth=%u count=%u us=%llu sum=%llx\n", depth, count, (unsigned long long)(end - start) / 1000, (unsigned long long)sum);
  fflush(stdout);
}

int main(int argc, char **argv) {
  unsigned depth = argc > 2 ? strtoul(argv[2], NULL, 0) : 1, count = argc > 3 ? strtoul(argv[3], NULL, 0) : 4096;
  uint64_t bytes = 0;
  int fd = argc > 1 && depth > 0 && depth <= MOST ? open(argv[1], O_RDONLY | O_DIRECT) : -1;
  if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes) < 0) {
    perror("reads");
    return 1;
  }
  for (int i = 0; i < MOST; i++)
    if (posix_memalign((void **)&buffers[i], SIZE, SIZE)) return 1;
  run(fd, bytes / SIZE, count, depth);
  return 0;
}
