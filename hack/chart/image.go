package main

import (
	"fmt"
	"os"
	"regexp"

	"sigs.k8s.io/yaml"
)

// imageFile says where the operator's image is published, and which release config and the chart install.
const imageFile = "config/manager/kustomization.yaml"

// image is an entry of a kustomization's images: what to have instead of the image of that name.
type image struct {
	Name    string `json:"name"`
	NewName string `json:"newName"`
	NewTag  string `json:"newTag"`
}

func readImage() (image, error) {
	text, err := os.ReadFile(imageFile)
	if err != nil {
		return image{}, err
	}
	var kustomization struct {
		Images []image `json:"images"`
	}
	if err := yaml.Unmarshal(text, &kustomization); err != nil {
		return image{}, fmt.Errorf("%s: %w", imageFile, err)
	}

	images := kustomization.Images
	if len(images) != 1 || images[0].NewName == "" || images[0].NewTag == "" {
		return image{}, fmt.Errorf("%s: want one image, with newName and newTag", imageFile)
	}
	return images[0], nil
}

// imageLines are the lines of the chart's own files that hold a part of the image's reference.
var (
	repositoryLine = regexp.MustCompile(`(?m)^  repository: .*$`)
	appVersionLine = regexp.MustCompile(`(?m)^appVersion: .*$`)
)

// writeImage makes the image the default of the chart's values: its repository, and its tag, which is the appVersion.
func writeImage() error {
	published, err := readImage()
	if err != nil {
		return err
	}
	if err := replaceLine(chart+"/values.yaml", repositoryLine, "  repository: "+published.NewName); err != nil {
		return err
	}
	return replaceLine(chart+"/Chart.yaml", appVersionLine, "appVersion: "+published.NewTag)
}

// replaceLine replaces the only line of a file that matches. What people have written around it stays.
func replaceLine(file string, pattern *regexp.Regexp, line string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if found := len(pattern.FindAll(text, -1)); found != 1 {
		return fmt.Errorf("%s: %d lines match %s, want one", file, found, pattern)
	}
	return os.WriteFile(file, pattern.ReplaceAllLiteral(text, []byte(line)), 0o644)
}
