/* Progress on stderr: a bar with rate and time left on a terminal, one plain line a minute elsewhere. */
#include "cli/cli.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void show(void *context, const char *phase, double fraction)
{
    enum { WIDTH = 30 };
    trm_progress *progress = context;
    const double now = trm_clock();
    if (strcmp(progress->phase, phase) != 0) {
        snprintf(progress->phase, sizeof progress->phase, "%s", phase);
        progress->phase_start = now;
        progress->last = progress->terminal ? 0.0 : progress->last;
    }
    if (now - progress->last < (progress->terminal ? 0.2 : 60.0))
        return;
    progress->last = now;
    const double elapsed = now - progress->phase_start;
    const double left = fraction > 0.0 ? elapsed / fraction - elapsed : 0.0;
    if (progress->terminal) {
        static const char full[] = "##############################";
        int done = (int)(fraction * WIDTH);
        fprintf(stderr, "\r%-9s [%-*.*s] %5.1f %%  %.0f s, %.0f s left   ", phase, WIDTH, done, full,
                100.0 * fraction, elapsed, left);
    } else {
        fprintf(stderr, "trimine: %s %.1f %%, %.0f s, %.0f s left\n", phase, 100.0 * fraction, elapsed, left);
    }
    fflush(stderr);
}

void trm_progress_attach(const trm_cli *cli, trm_progress *progress, trm_run_options *run)
{
    *progress = (trm_progress){.terminal = isatty(STDERR_FILENO) != 0, .last = trm_clock()};
    if (cli->progress == TRM_PROGRESS_NEVER || (cli->progress == TRM_PROGRESS_AUTO && cli->quiet))
        return;
    run->progress = show;
    run->progress_context = progress;
}

void trm_progress_end(trm_progress *progress)
{
    if (progress->terminal && progress->phase[0] != '\0')
        fprintf(stderr, "\r%*s\r", 78, "");
}
