/* Progress on stderr: a bar on a terminal; elsewhere a plain line after 5, 15 and 60 seconds, so that a log
 * shows soon whether the job gets on and how long it may take, and then one a minute. */
#include "cli/cli.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The next moment to say something, in seconds after the start. */
static double next_moment(bool terminal, double seconds)
{
    static const double moments[] = {5.0, 15.0, 60.0};
    if (terminal)
        return seconds + 0.2;
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++)
        if (seconds < moments[i])
            return moments[i];
    return ((double)(int64_t)(seconds / 60.0) + 1.0) * 60.0;
}

const char *trm_progress_text(trm_progress *progress, double now, const char *phase, double fraction,
                              double reused, char text[TRM_PROGRESS_TEXT])
{
    enum { WIDTH = 14 }; /* the line fits 80 columns */
    static const char full[] = "##############";
    text[0] = '\0';
    if (strcmp(progress->phase, phase) != 0) {
        snprintf(progress->phase, sizeof progress->phase, "%s", phase);
        progress->phase_start = now;
    }
    if (now - progress->start < progress->next)
        return text;
    progress->next = next_moment(progress->terminal, now - progress->start);
    const double elapsed = now - progress->phase_start, fresh = fraction - reused;
    char pace[64] = "";
    if (elapsed > 0.0 && fresh > 0.0) { /* by what this run did, not by what it was given */
        const double rate = 100.0 * fresh / elapsed * 60.0;
        snprintf(pace, sizeof pace,
                 rate < 100.0 ? ", %.3g %% a minute, %.0f s left" : ", %.0f %% a minute, %.0f s left", rate,
                 (1.0 - fraction) / fresh * elapsed);
    }
    if (progress->terminal)
        snprintf(text, TRM_PROGRESS_TEXT, "\r%-9s [%-*.*s] %5.1f %%  %.0f s%s   ", phase, WIDTH,
                 (int)(fraction * WIDTH), full, 100.0 * fraction, elapsed, pace);
    else
        snprintf(text, TRM_PROGRESS_TEXT, "trimine: %s %.1f %%, %.0f s%s", phase, 100.0 * fraction, elapsed,
                 pace);
    return text;
}

static void show(void *context, const char *phase, double fraction, double reused)
{
    char text[TRM_PROGRESS_TEXT];
    trm_progress *progress = context;
    if (trm_progress_text(progress, trm_clock(), phase, fraction, reused, text)[0] == '\0')
        return;
    fprintf(stderr, "%s%s", text, progress->terminal ? "" : "\n");
    fflush(stderr);
}

trm_progress_fn trm_progress_begin(const trm_cli *cli, trm_progress *progress)
{
    *progress = (trm_progress){.terminal = isatty(STDERR_FILENO) != 0, .start = trm_clock()};
    progress->next = progress->terminal ? 0.0 : next_moment(false, 0.0);
    const bool never =
        cli->progress == TRM_PROGRESS_NEVER || (cli->progress == TRM_PROGRESS_AUTO && cli->quiet);
    return never ? NULL : show;
}

void trm_progress_end(trm_progress *progress)
{
    if (progress->terminal && progress->phase[0] != '\0')
        fprintf(stderr, "\r%*s\r", 78, "");
}
