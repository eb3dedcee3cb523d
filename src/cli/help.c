/* --help, --usage and --version, which need no MPI. glibc's argp prints the help of a command. */
#include "cli/tables.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_overview(void)
{
    printf("Usage: trimine COMMAND [OPTION...]\n"
           "Exact mining of hard training examples from whole embedding stores, over MPI.\n\n");
    for (int i = 0; trm_commands[i] != NULL; i++)
        printf("  %-7s %-15s  %s\n", trm_commands[i]->name, trm_commands[i]->arguments,
               trm_commands[i]->about);
    printf(
        "\n  trimine help COMMAND says what a command takes, trimine options what all of them take (--json: "
        "for programs); trimine --version which version this is, with -v of what it is made.\n");
}

/* A walk's first row of each title begins a group. Which group a row is of: the number of that first row. */
static int group_of(const trm_command *command, const char *title)
{
    trm_walk walk = trm_command_walk(command);
    while (trm_walk_next(&walk) && strcmp(walk.options->title, title) != 0)
        ;
    return walk.number;
}

/* A command's options as argp wants them: a title in front of each group. */
static void fill_options(const trm_command *command, struct argp_option *options)
{
    enum { FIRST_KEY = 256 }; /* no letter */
    static char texts[TRM_OPTIONS_MOST][TRM_OPTION_HELP], titles[TRM_OPTIONS_MOST][64];
    trm_cli defaults;
    size_t count = 0;
    trm_cli_init(&defaults, command);
    for (trm_walk walk = trm_command_walk(command); trm_walk_next(&walk);) {
        const trm_option *option = walk.option;
        const int first = group_of(command, walk.options->title), group = first + 1;
        if (walk.number == first) {
            snprintf(titles[walk.number], sizeof titles[walk.number], "%s:", walk.options->title);
            options[count++] = (struct argp_option){.doc = titles[walk.number], .group = group};
        }
        if (option->name == NULL)
            continue;
        options[count++] = (struct argp_option){
            .name = option->name,
            .key = option->letter != '\0' ? option->letter : FIRST_KEY + walk.number,
            .arg = trm_option_takes_value(option) ? option->value : NULL,
            .doc = trm_option_help(option, trm_walk_settings(&walk, &defaults), texts[walk.number]),
            .group = group};
    }
    options[count] = (struct argp_option){0};
    trm_cli_free(&defaults);
}

static void print_command(const trm_command *command, FILE *to, unsigned how)
{
    struct argp_option options[2 * TRM_OPTIONS_MOST + 1];
    char name[64], text[1024];
    snprintf(name, sizeof name, "trimine %s", command->name);
    snprintf(text, sizeof text, "%s%s%s", command->about, command->essay != NULL ? "\v" : "",
             command->essay != NULL ? command->essay : "");
    fill_options(command, options);
    const struct argp argp = {options, NULL, command->arguments, text, NULL, NULL, NULL};
    argp_help(&argp, to, how, name);
}

static bool is_one_of(const char *given, const char *a, const char *b, const char *c)
{
    return strcmp(given, a) == 0 || strcmp(given, b) == 0 || strcmp(given, c) == 0;
}

/* Is one of these among the words before "--"? */
static bool has_word(int argc, char **argv, const char *a, const char *b, const char *c)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (is_one_of(argv[i], a, b, c))
            return true;
    return false;
}

/* Prints what is asked for; false: nothing is. */
static bool answer(int argc, char **argv)
{
    const bool help = strcmp(argv[1], "help") == 0;
    const trm_command *command = trm_command_find(help && argc > 2 ? argv[2] : argv[1]);
    if (has_word(argc, argv, "--version", "-V", "-V"))
        trm_report_version(has_word(argc, argv, "-v", "--verbose", "-vv"));
    else if (command != NULL && (help || has_word(argc, argv, "--help", "-h", "-?")))
        print_command(command, stdout, ARGP_HELP_STD_HELP);
    else if (command != NULL && has_word(argc, argv, "--usage", "--usage", "--usage"))
        print_command(command, stdout, ARGP_HELP_USAGE);
    else if ((help && (argc == 2 || is_one_of(argv[2], "--help", "-h", "help"))) ||
             is_one_of(argv[1], "--help", "-h", "-?"))
        print_overview();
    else
        return false;
    return true;
}

void trm_cli_answer_help(int argc, char **argv, bool speaks)
{
    if (argc < 2)
        return;
    if (!speaks && freopen("/dev/null", "w", stdout) == NULL)
        exit(0);
    if (answer(argc, argv)) {
        const bool written = fflush(stdout) == 0 && ferror(stdout) == 0;
        if (!written)
            fprintf(stderr, "trimine: error: standard output could not be written: %s\n", strerror(errno));
        exit(written ? 0 : trm_exit_code(TRM_ERR_IO));
    }
    if (speaks && argc == 2 && strcmp(argv[1], "bench") == 0)
        print_command(&trm_command_bench, stderr, ARGP_HELP_STD_HELP);
}
