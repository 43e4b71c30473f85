/* A disk whose flush takes about a millisecond, as that of a cloud volume does. Put before the C library of a
 * Postgres server (LD_PRELOAD), this makes fsync and fdatasync sleep and do nothing else: what is measured then is
 * waiting for a flush, and not how busy the disk of this machine was with something else.
 */
#include <errno.h>
#include <time.h>

#ifndef FLUSH_NANOSECONDS
#define FLUSH_NANOSECONDS 1000000
#endif

static int flush(void)
{
    struct timespec left = {0, FLUSH_NANOSECONDS};

    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
    return 0;
}

int fsync(int fd)
{
    (void)fd;
    return flush();
}

int fdatasync(int fd)
{
    (void)fd;
    return flush();
}
