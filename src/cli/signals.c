/* Signals that stop and save a job; see cli.h. */
#include "cli/cli.h"

#include "base/error.h"

#include <signal.h>
#include <time.h>

static volatile sig_atomic_t stop_signal, save_asked;
static struct timespec stop_time; /* written by the first stop signal, before stop_signal */

static void on_stop(int number)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (stop_signal == 0) {
        stop_time = now;
        stop_signal = number;
        return;
    }
    const double since =
        (double)(now.tv_sec - stop_time.tv_sec) + 1e-9 * (double)(now.tv_nsec - stop_time.tv_nsec);
    if (since < 1.0)
        return;
    signal(number, SIG_DFL);
    raise(number);
}

static void on_save(int number)
{
    (void)number;
    save_asked = 1;
}

static const struct listened {
    int number;
    void (*handler)(int);
    bool may_be_ignored; /* by whoever started this process, as nohup does: then it stays so */
} signals[] = {
    {SIGTERM, on_stop, false}, {SIGUSR1, on_stop, false}, {SIGINT, on_stop, true},
    {SIGHUP, on_stop, true},   {SIGUSR2, on_save, false},
};
enum { SIGNALS = sizeof signals / sizeof *signals };
static struct sigaction before[SIGNALS];

void trm_signals_listen(void)
{
    for (int i = 0; i < SIGNALS; i++) {
        struct sigaction action = {.sa_handler = signals[i].handler, .sa_flags = SA_RESTART};
        sigemptyset(&action.sa_mask);
        sigaction(signals[i].number, NULL, &before[i]);
        if (!signals[i].may_be_ignored || before[i].sa_handler != SIG_IGN)
            sigaction(signals[i].number, &action, NULL);
    }
}

void trm_signals_ignore(void)
{
    for (int i = 0; i < SIGNALS; i++)
        sigaction(signals[i].number, &before[i], NULL);
}

int trm_signals_wish(void)
{
    return (save_asked != 0 ? TRM_WISH_SAVE : 0) | (stop_signal != 0 ? TRM_WISH_STOP : 0);
}

void trm_signals_saved(void)
{
    save_asked = 0;
}

trm_status trm_signals_stopped(MPI_Comm comm, trm_error *err)
{
    int stopped = stop_signal != 0;
    MPI_Allreduce(MPI_IN_PLACE, &stopped, 1, MPI_INT, MPI_MAX, comm);
    return stopped ? trm_fail(err, TRM_ERR_STOPPED,
                              "stopped on a signal before there was anything to keep: run again")
                   : TRM_OK;
}
