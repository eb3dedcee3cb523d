/* One file of the kernel's for each thread; see counter.h. */
#include "rows/counter.h"

#include "base/alloc.h"

#include <linux/perf_event.h>
#include <omp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

struct trm_counter {
    int threads;
    int *file;
};

/* For the thread that calls it; -1 where it may not, or the machine has no such counter. */
static int open_own(trm_counted what)
{
    const bool cycles = what == TRM_COUNTED_CYCLES;
    struct perf_event_attr event = {
        .size = sizeof event,
        .type = cycles ? PERF_TYPE_HARDWARE : PERF_TYPE_SOFTWARE,
        .config = cycles ? PERF_COUNT_HW_CPU_CYCLES : PERF_COUNT_SW_TASK_CLOCK,
        .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
        .exclude_kernel = 1,
        .exclude_hv = 1,
    };
    return (int)syscall(SYS_perf_event_open, &event, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

trm_counter *trm_counter_open(int threads, trm_counted what)
{
    trm_counter *counter = trm_alloc(1, sizeof *counter);
    if (counter == NULL)
        return NULL;
    *counter = (trm_counter){threads, trm_alloc(threads, sizeof *counter->file)};
    bool all = counter->file != NULL;
    if (all) {
        for (int k = 0; k < threads; k++)
            counter->file[k] = -1;
#pragma omp parallel num_threads(threads)
        counter->file[omp_get_thread_num()] = open_own(what);
        for (int k = 0; k < threads; k++)
            all = all && counter->file[k] >= 0;
    }
    if (!all)
        trm_counter_close(&counter);
    return counter;
}

/* The kernel shares the hardware's few counters out where more are asked for: then it has counted for a part of the
 * time, and the rest is taken to have been alike. */
static double read_one(int file)
{
    struct {
        uint64_t value, enabled, running;
    } now;
    if (read(file, &now, sizeof now) != (ssize_t)sizeof now || now.running == 0)
        return 0.0;
    return (double)now.value * ((double)now.enabled / (double)now.running);
}

double trm_counter_now(const trm_counter *counter)
{
    double sum = 0.0;
    for (int k = 0; counter != NULL && k < counter->threads; k++)
        sum += read_one(counter->file[k]);
    return sum;
}

void trm_counter_close(trm_counter **counter)
{
    trm_counter *old = *counter;
    if (old == NULL)
        return;
    for (int k = 0; old->file != NULL && k < old->threads; k++)
        if (old->file[k] >= 0)
            close(old->file[k]);
    trm_free(old->file);
    trm_free(old);
    *counter = NULL;
}
