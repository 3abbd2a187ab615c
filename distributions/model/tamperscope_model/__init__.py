"""The default model of tamperscope: this folder is a bundle. `tamperscope` finds it by the package's name."""
