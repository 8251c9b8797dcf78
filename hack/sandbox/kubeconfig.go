package sandbox

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// CreateToken returns a token of a ServiceAccount, as a pod has one; the API server makes it last for an hour.
func CreateToken(ctx context.Context, c client.Client, namespace, serviceAccount string) (string, error) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: serviceAccount}}
	request := &authenticationv1.TokenRequest{}
	if err := c.SubResource("token").Create(ctx, account, request); err != nil {
		return "", fmt.Errorf("creating a token of ServiceAccount %s/%s: %w", namespace, serviceAccount, err)
	}
	return request.Status.Token, nil
}

// WriteKubeconfig writes a file with which the bearer of a token, and nobody else, reaches the API server of a
// configuration. A program that runs with it has the rights of the token's ServiceAccount and no others, and costs the
// API server what a pod costs it: checking a certificate at every request would cost much more.
func WriteKubeconfig(path string, config *rest.Config, token string) error {
	const name = "sandbox"
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters[name] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	kubeconfig.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token}
	kubeconfig.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	kubeconfig.CurrentContext = name
	return clientcmd.WriteToFile(*kubeconfig, path)
}
