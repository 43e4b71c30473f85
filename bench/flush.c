/* A disk whose flush takes a millisecond more, as that of a cloud volume does. Put before the C library of a Postgres
 * server (LD_PRELOAD), this lets fsync and fdatasync do their work and sleep for a millisecond after it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <time.h>

#ifndef EXTRA_NANOSECONDS
#define EXTRA_NANOSECONDS 1000000
#endif

typedef int (*flush_function)(int);

static int flush_slowly(const char *name, int fd)
{
    flush_function flush = (flush_function)dlsym(RTLD_NEXT, name);
    struct timespec left = {0, EXTRA_NANOSECONDS};
    int result = flush(fd);
    int error = errno;

    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
    errno = error;
    return result;
}

int fsync(int fd)
{
    return flush_slowly("fsync", fd);
}

int fdatasync(int fd)
{
    return flush_slowly("fdatasync", fd);
}
