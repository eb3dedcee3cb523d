/* Manual pages, as man reads them, from the tables of commands and options. */
#include "cli/tables.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Text, so that roff takes none of it for its own. */
static void put(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (at == text && *at == '.')
            fputs("\\&", stdout);
        if (*at == '\\')
            fputs("\\e", stdout);
        else if (*at == '-')
            fputs("\\-", stdout);
        else if (*at == '\'')
            fputs("\\(aq", stdout);
        else
            putchar(*at);
    }
}

static void put_line(const char *text)
{
    put(text);
    putchar('\n');
}

/* An item of a list: what it is about, in bold, and the text. */
static void put_item(const char *name, const char *text)
{
    fputs(".TP\n\\fB", stdout);
    put(name);
    fputs("\\fR\n", stdout);
    put_line(text);
}

/* Heading, and the line that apropos searches: it begins small and has no full stop. No date, so that builds are the
 * same bytes. */
static void put_head(const char *name, const char *about)
{
    char line[256];
    const int length = (int)strlen(about);
    fputs(".TH \"", stdout);
    for (const char *at = name; *at != '\0'; at++)
        putchar(toupper((unsigned char)*at));
    printf("\" 1 \"\" \"trimine %s\" \"trimine\"\n.SH NAME\n", trm_version());
    put(name);
    fputs(" \\- ", stdout);
    snprintf(line, sizeof line, "%c%.*s", tolower((unsigned char)about[0]),
             length - 1 - (about[length - 1] == '.'), about + 1);
    put_line(line);
}

static void put_exit_status(void)
{
    static const struct {
        trm_status status;
        const char *about;
    } exits[] = {
        {TRM_OK, "Done."},
        {TRM_ERR_USAGE, "A bad option, or options that do not go together."},
        {TRM_ERR_DATA, "An input breaks a rule."},
        {TRM_ERR_NO_INPUT, "An input is missing."},
        {TRM_ERR_ENVIRONMENT, "MPI or the launcher is not as needed."},
        {TRM_ERR_INTERNAL, "A defect of trimine."},
        {TRM_ERR_MEMORY, "Out of memory, or over the limit given."},
        {TRM_ERR_CREATE, "The output can't be made, or exists."},
        {TRM_ERR_IO, "Reading or writing failed, or the disk is full."},
        {TRM_ERR_STOPPED, "Stopped by a signal."},
        {TRM_ERR_PERMISSION, "Permission denied."},
    };
    fputs(".SH EXIT STATUS\n", stdout);
    for (size_t i = 0; i < sizeof exits / sizeof *exits; i++) {
        char code[16];
        snprintf(code, sizeof code, "%d", trm_exit_code(exits[i].status));
        put_item(code, exits[i].about);
    }
}

/* All pages but the one that this is on: NULL is that of the program. */
static void put_see_also(const trm_command *command)
{
    const char *before = "";
    fputs(".SH SEE ALSO\n", stdout);
    if (command != NULL) {
        fputs("\\fBtrimine\\fR(1)", stdout);
        before = ", ";
    }
    for (int i = 0; trm_commands[i] != NULL; i++)
        if (trm_commands[i] != command) {
            printf("%s\\fBtrimine\\-%s\\fR(1)", before, trm_commands[i]->name);
            before = ", ";
        }
    putchar('\n');
}

/* ---- options ---- */

/* What the words mean, where that is known. */
static void put_words(const trm_words *words)
{
    bool any = false;
    for (int i = 0; i < words->count; i++) {
        const trm_word *word = trm_word_at(words, i);
        if (word->derived || word->about == NULL)
            continue;
        fputs(any ? "" : ".RS\n", stdout);
        char name[80];
        snprintf(name, sizeof name, "%s%s%s%s", word->name, trm_word_colon(word),
                 word->number != NULL ? word->number : "", word->usual > 0.0 ? "]" : "");
        put_item(name, word->about);
        any = true;
    }
    fputs(any ? ".RE\n" : "", stdout);
}

static void put_option(const trm_option *option, const void *defaults)
{
    char text[TRM_OPTION_HELP];
    fputs(".TP\n", stdout);
    if (option->letter != '\0')
        printf("\\fB\\-%c\\fR, ", option->letter);
    fputs("\\fB\\-\\-", stdout);
    put(option->name);
    fputs("\\fR", stdout);
    if (trm_option_takes_value(option)) {
        fputs(" \\fI", stdout);
        put(option->value);
        fputs("\\fR", stdout);
    }
    putchar('\n');
    put(trm_option_help(option, defaults, text));
    put_line(trm_option_repeats(option) ? "; may be repeated" : "");
    if (option->words != NULL)
        put_words(option->words);
}

/* Tables of one title are together, as in --help: a title's first row begins the group. */
static bool is_first_of_title(const trm_command *command, const trm_walk *at)
{
    trm_walk walk = trm_command_walk(command);
    while (trm_walk_next(&walk) && strcmp(walk.options->title, at->options->title) != 0)
        ;
    return walk.number == at->number;
}

static void put_group(const trm_command *command, const trm_cli *defaults, const char *title)
{
    fputs(".SS ", stdout);
    put_line(title);
    for (trm_walk walk = trm_command_walk(command); trm_walk_next(&walk);)
        if (walk.option->name != NULL && strcmp(walk.options->title, title) == 0)
            put_option(walk.option, trm_walk_settings(&walk, defaults));
}

static void put_options(const trm_command *command)
{
    trm_cli defaults;
    trm_cli_init(&defaults, command);
    fputs(".SH OPTIONS\n", stdout);
    for (trm_walk walk = trm_command_walk(command); trm_walk_next(&walk);)
        if (is_first_of_title(command, &walk))
            put_group(command, &defaults, walk.options->title);
    trm_cli_free(&defaults);
}

/* ---- pages ---- */

static void put_command(const trm_command *command)
{
    char name[64];
    const bool ranks = (command->traits & TRM_WITHOUT_MPI) == 0;
    snprintf(name, sizeof name, "trimine-%s", command->name);
    put_head(name, command->about);
    fputs(".SH SYNOPSIS\n", stdout);
    printf("%s\\fBtrimine %s\\fR", ranks ? "[\\fBmpirun \\-n\\fR \\fIRANKS\\fR] " : "", command->name);
    fputs(command->arguments[0] != '\0' ? " \\fI" : "", stdout);
    put(command->arguments);
    fputs(command->arguments[0] != '\0' ? "\\fR" : "", stdout);
    fputs(" [\\fIOPTION\\fR]...\n.SH DESCRIPTION\n", stdout);
    put_line(command->about);
    if (command->essay != NULL) {
        fputs(".PP\n", stdout);
        put_line(command->essay);
    }
    put_options(command);
    put_exit_status();
    put_see_also(command);
}

static void put_program(void)
{
    put_head("trimine", "exact mining of hard training examples from whole embedding stores, over MPI");
    fputs(".SH SYNOPSIS\n\\fBtrimine\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]...\n.br\n"
          "\\fBmpirun \\-n\\fR \\fIRANKS\\fR \\fBtrimine\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]...\n"
          ".SH DESCRIPTION\n",
          stdout);
    put_line(
        "trimine finds the hard training examples in a whole embedding store, exactly, on as many machines "
        "as MPI reaches. The result is the same, bit for bit, on any number of ranks and threads.");
    fputs(".SH COMMANDS\n", stdout);
    for (int i = 0; trm_commands[i] != NULL; i++)
        put_item(trm_commands[i]->name, trm_commands[i]->about);
    put_item("help [COMMAND]", "Says what there is, or what a command takes.");
    fputs(".SH OPTIONS\n", stdout);
    put_item("--help", "Says what there is; after a command what it takes.");
    put_item("--version", "Says which version this is; with -v of what it is made.");
    fputs(".SH EXAMPLE\n.nf\n", stdout);
    put_line("mpirun -n 2 trimine mine store.h5 --positives easiest -o triplets.h5");
    fputs(".fi\n", stdout);
    put_exit_status();
    put_see_also(NULL);
}

bool trm_man_print(const char *name)
{
    const trm_command *command = trm_command_find(name);
    if (command != NULL)
        put_command(command);
    else if (strcmp(name, "trimine") == 0)
        put_program();
    else
        return false;
    return true;
}
