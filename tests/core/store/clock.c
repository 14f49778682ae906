/* A wall clock that a test sets: as far ahead, in seconds, as the first eight bytes of the file $CLOCK say. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static int64_t ahead(void) {
    static volatile int64_t *offset;
    if (!offset) {
        int file = open(getenv("CLOCK"), O_RDONLY);
        offset = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    }
    return *offset;
}

int gettimeofday(struct timeval *restrict tv, void *restrict tz) {
    static int (*real)(struct timeval *, void *);
    if (!real) real = dlsym(RTLD_NEXT, "gettimeofday");
    int result = real(tv, tz);
    tv->tv_sec += ahead();
    return result;
}

int clock_gettime(clockid_t clock, struct timespec *ts) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, ts);
    if (clock == CLOCK_REALTIME) ts->tv_sec += ahead();
    return result;
}
